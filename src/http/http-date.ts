// hot path
/** The Date field's value (RFC 9110 section 5.6.7) at a wall time; made once a second. */
export function httpDate(wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== madeAt) {
    madeAt = second;
    made = new Date(wallMs).toUTCString();
  }
  return made;
}

let madeAt = -1;
let made = '';
