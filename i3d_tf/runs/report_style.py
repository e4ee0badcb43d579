"""How the report's page looks: light and dark, wide and narrow, on the screen and on paper."""

# Cells of the confusion matrix carry numbers, so their colours differ from those of lines and bars:
# every number reaches a contrast of about 4 or more.
STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #fff; --text: #1b1f27; --muted: #586273; --line: #dfe3e9;
  --right: #2563b0; --wrong: #b4480f; --right-fill: #2563b0; --wrong-fill: #b4480f;
  --on-fill: #fff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1a1f27; --text: #e6e9ee; --muted: #9aa5b4; --line: #303845;
    --right: #6ea8f0; --wrong: #f0955a; --right-fill: #2f6fc0; --wrong-fill: #b85518;
    --on-fill: #f2f4f8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 24px 20px 60px; max-width: 1120px;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 0 0 10px; }
.muted { color: var(--muted); }
.small { font-size: 13px; }
.mono { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.any { overflow-wrap: anywhere; unicode-bidi: isolate; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px;
}
.results { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); }
.results > div { border-top: 3px solid var(--line); padding-top: 8px; }
.results > .headline { border-color: var(--right); }
.big { font-size: 38px; line-height: 1.15; font-weight: 650; letter-spacing: -0.01em; }
.big small { font-size: 15px; font-weight: 400; letter-spacing: 0; }
.pair { display: grid; gap: 0 28px; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
.wide { overflow-x: auto; }
.beside { display: flex; flex-wrap: wrap; gap: 16px 32px; align-items: flex-start; }
.beside > :first-child { max-width: 100%; }
.beside > :last-child { flex: 1 1 380px; min-width: 0; }
.tall { overflow: auto; max-height: 640px; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: 13px; padding-bottom: 6px; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { position: sticky; top: 0; background: var(--card); font-size: 13px;
  color: var(--muted); }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.number + * { padding-left: 14px; }
td.share { min-width: 76px; width: 20%; }
td.share div { display: flex; flex-wrap: wrap; align-items: center; gap: 0 8px; }
td.share span:first-child { min-width: 62px; text-align: right; }
.bar { flex: 1 1 40px; height: 6px; border-radius: 3px; background: var(--line); }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--muted); }
.headline .bar i { background: var(--right); }
.wrong .bar i { background: var(--wrong); }
.facts th { color: var(--muted); font-weight: 400; width: 42%; }
.charts { display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); }
.charts svg { width: 100%; max-width: 520px; height: auto; display: block; }
.confusion { display: block; }
.confusion g:hover rect { stroke: var(--text); stroke-width: 2; }
.clips { display: grid; gap: 18px; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); }
.clips img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
.clips dl { display: grid; grid-template-columns: auto 1fr; gap: 0 10px; margin: 6px 0 0; }
.clips dt { color: var(--muted); }
.clips dd { margin: 0; }
.clips dd span { unicode-bidi: isolate; }
.missed { border: 1px dashed var(--line); border-radius: 4px; padding: 14px; }
.ink-right { color: var(--right); font-weight: 600; }
.ink-wrong { color: var(--wrong); font-weight: 600; }
summary { cursor: pointer; padding: 4px 0; }
ul { margin: 4px 0 10px; padding-left: 20px; }
:focus-visible { outline: 2px solid var(--right); outline-offset: 2px; }
@media (max-width: 520px) {
  body { padding: 16px 10px 40px; }
  section { padding: 14px 12px; }
  .clips { grid-template-columns: 1fr; }
  th, td { padding-right: 6px; }
  .tall, .wide { font-size: 14px; }
  .tall tbody th, .wide tbody th { min-width: 92px; }
  .number + * { padding-left: 4px; }
  td.share { min-width: 60px; }
  td.share span:first-child { text-align: left; }
}
@media print {
  .tall, .wide { overflow: visible; max-height: none; }
  section { break-inside: avoid-page; }
}
"""
