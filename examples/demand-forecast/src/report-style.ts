import { Markup } from "./markup.js";

/** The report's style sheet. Light and dark follow the reader's system. */
export const REPORT_STYLE = new Markup(`
:root {
  --page: #f6f7f9; --card: #ffffff; --ink: #16202e; --soft: #5b6778; --line: #dfe3e9; --grid: #eaedf1;
  --model: #2563eb; --actual: #5f6b7c; --last-year: #e08e0b; --last-week: #b9c1cd; --deployed: #0e9384;
  --good: #067647; --good-back: #e7f6ee; --calm: #3a4a63; --calm-back: #eaeef5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e131b; --card: #171e29; --ink: #e7ebf1; --soft: #98a4b5; --line: #2b3544; --grid: #232c39;
    --model: #6ea2ff; --actual: #a3aebf; --last-year: #f2b04a; --last-week: #4c596d; --deployed: #3cc6b5;
    --good: #6bd7a0; --good-back: #12301f; --calm: #b6c3d8; --calm-back: #202a39;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { margin: 0 0 18px; font-size: 26px; line-height: 1.25; letter-spacing: -0.01em; }
h2 { margin: 0 0 2px; font-size: 16px; }
p { margin: 0; }
.eyebrow { margin-bottom: 4px; color: var(--soft); font-size: 13px; font-weight: 600; letter-spacing: 0.04em; }
.decision { padding: 12px 16px; border-radius: 8px; background: var(--calm-back); }
.decision strong { margin-right: 6px; color: var(--calm); }
.decision.deploy { background: var(--good-back); }
.decision.deploy strong { color: var(--good); }
.note { color: var(--soft); font-size: 13px; }
section { margin-top: 20px; padding: 20px 22px; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin: 20px 0 8px; }
.tile { padding: 14px 16px; border: 1px solid var(--line); border-top: 3px solid var(--tone); border-radius: 10px; background: var(--card); }
.tile dt { color: var(--soft); font-size: 13px; }
.tile dd { margin: 2px 0 0; font-size: 25px; font-weight: 600; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 0 20px; }
.model { --tone: var(--model); } .actual { --tone: var(--actual); } .deployed { --tone: var(--deployed); }
.last-year { --tone: var(--last-year); } .last-week { --tone: var(--last-week); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 10px 0 2px; padding: 0; list-style: none; font-size: 13px; }
.legend li::before { content: ""; display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 2px; background: var(--tone); }
.scroll { overflow-x: auto; }
svg { display: block; margin-top: 6px; width: 100%; min-width: 640px; height: auto; font-size: 12px; font-variant-numeric: tabular-nums; }
svg text { fill: var(--soft); }
svg .x, svg .value, svg .note { text-anchor: middle; }
svg .y, svg .note.end { text-anchor: end; }
svg .value, svg .note { font-size: 11px; }
.grid { stroke: var(--grid); } .axis, .tick { stroke: var(--soft); stroke-opacity: 0.6; }
.dash { stroke: var(--soft); stroke-opacity: 0.55; stroke-dasharray: 2 3; }
.line { fill: none; stroke: var(--tone); stroke-width: 1.8; stroke-linejoin: round; }
.bar { fill: var(--tone); }
.hover { fill: var(--ink); fill-opacity: 0; } .hover:hover { fill-opacity: 0.06; }
table { width: 100%; margin: 10px 0 8px; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, .text { text-align: left; }
thead th { color: var(--soft); font-size: 13px; font-weight: 600; }
tbody th { font-weight: 400; }
th:first-child { padding-left: 0; } td:last-child, th:last-child { padding-right: 0; }
.method p { margin-top: 8px; color: var(--soft); font-size: 14px; max-width: 75ch; }
@media print { body { background: none; } section, .tile { break-inside: avoid; } }
`);
