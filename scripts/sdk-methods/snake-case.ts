export const snakeCase = (name: string): string => name.replace(/[A-Z]+/g, (letters) => `_${letters.toLowerCase()}`);
