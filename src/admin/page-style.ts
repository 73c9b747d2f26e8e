export const PAGE_STYLE = `:root { color-scheme: light dark; font: 14px/1.45 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
dl { display: flex; flex-wrap: wrap; gap: 1rem 2rem; margin: 0; }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .25rem .6rem .25rem 0; text-align: left; vertical-align: top; white-space: nowrap; }
td:last-child, #certificate-rows td:nth-child(4) { overflow-wrap: anywhere; white-space: normal; }
th { font-weight: 600; }
footer { margin-top: 2rem; }
footer a { margin-right: 1rem; }
.good { color: #1a7f37; }
.bad { color: #cf222e; font-weight: 600; }
.warn { color: #9a6700; }
`;
