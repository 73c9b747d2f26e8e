/** A warning where everybody may read a file that holds `what`; null: not everybody may. `name`: the file's, as it may be shown. */
export function worldReadableWarning(what: string, name: string, mode: number): string | null {
  if ((mode & WORLD_READABLE) === 0) return null;
  const found = mode.toString(8).padStart(4, '0');
  return `Everybody on this machine can read ${what} '${name}': found mode ${found}, expected 0600 or 0640; run chmod o-rwx on it`;
}

const WORLD_READABLE = 0o004;
