import { isIPv4, isIPv6 } from 'node:net';
import { hitsOf, mergeHits } from './hit.ts';
import type { Hit } from './hit.ts';

const V4 = /(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)/g;
const V6 = /(?<![\w:.])[\da-f]{0,4}(?::[\da-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:]|\.\d)/gi;

/** Addresses of no machine in particular: loopback, any, masks. */
const NOBODYS_V4 = /^(?:0|127|255)\./;
/** A prefix of addresses in use: global unicast, unique local, link-local. */
const USED_V6 = /^(?:[23][\da-f]{3}|f[cd][\da-f]{2}|fe[89ab][\da-f]):/i;

/**
 * IP addresses. What may as well be a version or a section is left: four single digits, and what stands behind `v` or
 * `version`; of version 6, what has few groups and no prefix in use, such as names in C++.
 */
export function findAddresses(text: string): readonly Hit[] {
  const v4 = hitsOf(text, V4, '<IP>', ({ 0: address, index }) => {
    if (!isIPv4(address) || NOBODYS_V4.test(address) || address.length === 7) return false;
    return !/v(?:er(?:sions?)?)?\.?["']?[:=]?\s?["']?$/i.test(text.slice(Math.max(0, index - 14), index));
  });
  if (!text.includes(':')) return v4;
  const v6 = hitsOf(text, V6, '<IP>', ([address]) => {
    if (!isIPv6(address)) return false;
    const groups = address.split(':').filter((group) => group !== '').length;
    return groups >= 4 || (groups >= 2 && USED_V6.test(address));
  });
  return mergeHits(v6, v4);
}
