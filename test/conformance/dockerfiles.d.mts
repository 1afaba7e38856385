export interface Case {
  readonly Op: 'parse' | 'word';
  readonly Text: string;
}
export function cases(seed: number, count: number): Case[];
export function random(seed: number): (below: number) => number;
