/** The texts of a document's fenced blocks in one language, in their order. */
export const fencedBlocks = (markdown: string, language: string): readonly string[] =>
  [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , text = ""]) => text);
