export type Environment = Readonly<Record<string, string | undefined>>;

export interface Expansion {
  readonly text: string;
  /** True when the text had a variable in it: it is then a possible secret, and shown as it was written. */
  readonly isExpanded: boolean;
  /** What is wrong, one sentence each; the values of variables are never in them. */
  readonly problems: readonly string[];
}

/**
 * Replaces `${NAME}` and `${NAME:-default}` (used when the variable is unset or empty, as a shell does); `$${` stands for a literal
 * `${`. What a variable holds is never expanded again, and never parsed as YAML (security rule 12).
 */
export function expandVariables(text: string, env: Environment): Expansion {
  if (!text.includes('${')) return { text, isExpanded: false, problems: [] };
  const problems: string[] = [];
  let expanded = '';
  let isExpanded = false;
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('${', at);
    if (open === -1) break;
    if (open > at && text[open - 1] === '$') {
      expanded += `${text.slice(at, open - 1)}\${`;
      at = open + 2;
      continue;
    }
    const close = text.indexOf('}', open);
    const body = close === -1 ? null : VARIABLE.exec(text.slice(open + 2, close));
    if (body === null) {
      problems.push(
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the syntax that is explained
        "Cannot expand '${': found no NAME} after it, expected ${NAME} or ${NAME:-default}; write $${ for a literal ${",
      );
      return { text, isExpanded: true, problems };
    }
    const [, name = '', fallback] = body;
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    expanded += text.slice(at, open);
    isExpanded = true;
    if (fallback !== undefined) expanded += value === undefined || value === '' ? fallback : value;
    else if (value !== undefined) expanded += value;
    else
      problems.push(
        `Cannot expand \${${name}}: the environment variable is not set; set it or write \${${name}:-default}`,
      );
    at = close + 1;
  }
  return { text: expanded + text.slice(at), isExpanded, problems };
}

const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/; // POSIX 8.1 names
