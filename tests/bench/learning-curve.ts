/** A point of a prequential curve. */
export interface CurvePoint {
  /** Of the stream, so far. */
  readonly bytes: number;
  /** Since the start. */
  readonly bitsPerByte: number;
  /** Of the bytes since the point before. */
  readonly window: number;
}

/** A level that the curve is compared with. */
export interface Level {
  readonly name: string;
  readonly bitsPerByte: number;
}

const WIDTH = 760;
const HEIGHT = 400;
const LEFT = 48;
const RIGHT = 150;
const TOP = 36;
const BOTTOM = 40;

/** The curve and the levels as a picture in SVG, readable on light and dark ground. */
export function curvePicture(points: readonly CurvePoint[], levels: readonly Level[]): string {
  const end = Math.max(...points.map(({ bytes }) => bytes));
  const shown = [...points.map(({ window }) => window), ...levels.map(({ bitsPerByte }) => bitsPerByte)];
  const lowest = Math.floor(Math.min(...shown) * 10) / 10;
  const highest = Math.min(3, Math.ceil(Math.max(...shown) * 10) / 10);
  const x = (bytes: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * bytes) / end;
  const y = (bits: number): number => {
    const within = Math.min(bits, highest);
    return Math.round(TOP + ((HEIGHT - TOP - BOTTOM) * (highest - within)) / (highest - lowest));
  };
  const line = (of: (point: CurvePoint) => number): string =>
    points.map((point) => `${x(point.bytes).toFixed(1)},${y(of(point)).toFixed(1)}`).join(' ');
  const ticks = Array.from({ length: Math.floor((highest - lowest) / 0.2 + 1e-9) + 1 }, (_, at) => lowest + at * 0.2);
  const megabytes = Array.from({ length: Math.floor(end / 2e6) + 1 }, (_, at) => 2 * at);
  const ours = { name: 'Millrace', bitsPerByte: points.at(-1)?.bitsPerByte ?? Number.NaN, isOurs: true };
  const labels = apart([...levels.map((level) => ({ ...level, isOurs: false })), ours], ({ bitsPerByte }) =>
    y(bitsPerByte),
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Bits per byte over the stream">`,
    '<style>text{font:12px sans-serif;fill:#64748b}.end{text-anchor:end}.middle{text-anchor:middle}.start{text-anchor:start}',
    '.strong{font-weight:bold;fill:#d97706}line{stroke:#94a3b8;stroke-width:.6}.level{stroke-dasharray:4 4;stroke-width:1}',
    'polyline{fill:none;stroke:#d97706;stroke-width:2.5}.window{stroke-width:1;stroke-opacity:.45}</style>',
    text({ x: LEFT, y: 18, class: 'start' }, 'bits per byte: bold since the start, thin of the last stretch'),
    ...ticks.flatMap((bits) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(bits)}" y2="${y(bits)}"/>`,
      text({ x: LEFT - 8, y: y(bits) + 4 }, bits.toFixed(1)),
    ]),
    ...megabytes.map((mb) => text({ x: x(mb * 1e6), y: HEIGHT - 16, class: 'middle' }, `${mb} MB`)),
    ...levels.map(
      ({ bitsPerByte }) =>
        `<line class="level" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(bitsPerByte)}" y2="${y(bitsPerByte)}"/>`,
    ),
    ...labels.map(({ item: { name, bitsPerByte, isOurs }, y: at }) =>
      text(
        { x: WIDTH - RIGHT + 6, y: at + 4, class: isOurs ? 'start strong' : 'start' },
        `${name} ${bitsPerByte.toFixed(3)}`,
      ),
    ),
    `<polyline class="window" points="${line(({ window }) => window)}"/>`,
    `<polyline points="${line(({ bitsPerByte }) => bitsPerByte)}"/>`,
    '</svg>',
  ].join('\n')}\n`;
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly class?: string;
}

function text(at: Place, what: string): string {
  return `<text x="${at.x.toFixed(1)}" y="${at.y.toFixed(1)}" class="${at.class ?? 'end'}">${what}</text>`;
}

const LABEL_HEIGHT = 14;

/** Items from the top, each at its place or as far below as the one above it needs. */
function apart<T>(
  items: readonly T[],
  place: (item: T) => number,
): readonly { readonly item: T; readonly y: number }[] {
  let free = 0;
  return items
    .toSorted((one, other) => place(one) - place(other))
    .map((item) => {
      const y = Math.max(place(item), free);
      free = y + LABEL_HEIGHT;
      return { item, y };
    });
}
