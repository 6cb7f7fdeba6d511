export { askControl, serveControl } from './control.ts';
export type { ControlHandler, ControlServer } from './control.ts';
