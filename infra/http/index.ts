export { checkReach } from './reach.ts';
export { openHttpServer } from './server.ts';
export type { HttpLimits, HttpOptions, HttpServer } from './server.ts';
export type { GraphRequest, GraphsApi } from './graphs-api.ts';
