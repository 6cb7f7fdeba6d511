/** The package has types for its main entry only. */
declare module 'eld/small' {
  export const eld: { detect(text: string): { readonly language: string } };
}
