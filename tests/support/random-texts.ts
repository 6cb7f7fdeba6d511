/** Documents of 5 to 64 words that do not repeat each other. */
export function randomTexts(random: () => number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const words = Array.from({ length: 5 + Math.floor(random() * 60) }, () => Math.floor(random() * 300).toString(36));
    return `document ${index}: ${words.join(' ')}.`;
  });
}
