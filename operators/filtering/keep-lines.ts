import type { FilterRules } from './settings.ts';

/** Ends of lines that C4 keeps; an ellipsis is none. */
const TERMINAL = /[.!?"”](?<!\.\.\.)$/;

/** C4's rules for lines that are on. Null where a line is to be kept; otherwise the name of the rule that it breaks. */
export function lineRules({
  terminalPunctuation,
  lineWords,
  javascript,
}: Pick<FilterRules, 'terminalPunctuation' | 'lineWords' | 'javascript'>): ((line: string) => string | null) | null {
  if (!terminalPunctuation && lineWords === false && !javascript) return null;
  return (line) => {
    const bare = line.trim();
    if (terminalPunctuation && !TERMINAL.test(bare)) return 'terminalPunctuation';
    if (lineWords !== false && (bare.match(/\S+/g)?.length ?? 0) < lineWords) return 'lineWords';
    if (javascript && /javascript/i.test(bare)) return 'javascript';
    return null;
  };
}
