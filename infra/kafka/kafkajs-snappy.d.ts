/** kafkajs-snappy has no types of its own. */
declare module 'kafkajs-snappy' {
  export default function snappyCodec(): {
    compress(encoder: { readonly buffer: Buffer }): Promise<Uint8Array>;
    decompress(bytes: Buffer): Promise<Uint8Array>;
  };
}
