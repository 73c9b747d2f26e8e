/**
 * Waits until it is so, or fails after half a minute with the condition's source: a test that waits for what never comes
 * must say what that was. A slow machine needs seconds where a fast one needs none. `everyMs`: for what is dear to look at.
 */
export async function until(isSo: () => boolean | Promise<boolean>, everyMs = 5): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`Cannot go on: still not so after 30 s: ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
