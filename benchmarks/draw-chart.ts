/** The README's chart as SVG text: whole lives side by side on a logarithmic axis. Readable on light and on dark. */
import type {Recorded} from './recorded.js';

const WIDTH = 720;
const LABELS = 170;
const ROW = 30;
const TOP = 56;
const BAR = 16;
const RIGHT = 84;
const TICKS_MS = [0.3, 1, 3, 10, 30, 100, 300];

export function drawChart({host, rounds, coldStart}: Recorded): string {
  const bars = Object.entries(coldStart)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, {lifeMs}]) => ({
      name: TITLES[name] ?? name,
      ms: lifeMs!.medianMs,
      own: name.startsWith('coracle'),
    }))
    .sort((a, b) => a.ms - b.ms);
  const bottom = TOP + bars.length * ROW;
  const [first = 0, last = 1] = [TICKS_MS[0], TICKS_MS.at(-1)];
  const scale = (WIDTH - LABELS - RIGHT) / Math.log(last / first);
  const x = (ms: number) => LABELS + Math.max(Math.log(ms / first), 0) * scale;
  const ticks = TICKS_MS.map(
    ms =>
      `<line class="grid" x1="${px(x(ms))}" x2="${px(x(ms))}" y1="${TOP - 6}" y2="${bottom}"/>` +
      `<text class="small" x="${px(x(ms))}" y="${bottom + 16}" text-anchor="middle">${ms}</text>`,
  );
  const rows = bars.map(({name, ms, own}, index) => {
    const y = TOP + index * ROW;
    const middle = y + BAR / 2 + 4;
    return (
      `<text x="${LABELS - 10}" y="${middle}" text-anchor="end"${own ? ' class="own-name"' : ''}>${escapeXml(name)}</text>` +
      `<rect class="${own ? 'own' : 'other'}" x="${LABELS}" y="${y}" width="${px(Math.max(x(ms) - LABELS, 2))}" height="${BAR}" rx="2"/>` +
      `<text x="${px(Math.max(x(ms), LABELS + 2) + 8)}" y="${middle}">${ms.toFixed(ms < 10 ? 2 : 0)} ms</text>`
    );
  });
  const facts = `Medians of ${rounds} interleaved rounds · Linux ${host.kernel}, ${host.cpus} × ${host.cpu}, Node ${host.node}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 46}" role="img" aria-labelledby="title facts">
<title id="title">From the request until the program has exited, milliseconds</title>
<desc id="facts">${escapeXml(facts)}</desc>
<style>${STYLE}</style>
<text class="title" x="16" y="24">One whole life: from the request until the program has exited (ms, logarithmic)</text>
<text class="small" x="16" y="42">bwrap and spawn isolate far less; the floor is the same plan carried out by a C program alone</text>
${[...ticks, ...rows].join('\n')}
<text class="small" x="16" y="${bottom + 38}">${escapeXml(facts)}</text>
</svg>
`;
}

const LEFT_OUT = new Set(['coracle, output piped', 'floor, waiting']);

const TITLES: Readonly<Record<string, string>> = {
  coracle: 'Coracle',
  'coracle, on demand': 'Coracle, nothing ready',
  floor: 'C floor program',
  'child_process.spawn': 'spawn, no isolation',
};

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 11px; fill: #57606a }
.own-name { font-weight: 600 }
.grid { stroke: #8c959f; stroke-opacity: .3 }
.other { fill: #8c959f }
.own { fill: #1f7a8c }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9da7b1 }
  .own { fill: #4fb3c8 }
}
`;

function px(value: number): string {
  return value.toFixed(1);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
