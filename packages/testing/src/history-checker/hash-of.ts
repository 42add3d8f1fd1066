const PRIMES = [2_654_435_761, 1_597_334_677, 2_246_822_507, 3_266_489_909] as const;

/** A hash of stored text, 53 bits as base 36: enough to see that two values are not the same. */
export function hashOf(text: string): string {
  let low = 0xde_ad_be_ef;
  let high = 0x41_c6_ce_57;
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place);
    low = Math.imul(low ^ code, PRIMES[0]);
    high = Math.imul(high ^ code, PRIMES[1]);
  }
  low = Math.imul(low ^ (low >>> 16), PRIMES[2]) ^ Math.imul(high ^ (high >>> 13), PRIMES[3]);
  high = Math.imul(high ^ (high >>> 16), PRIMES[2]) ^ Math.imul(low ^ (low >>> 13), PRIMES[3]);
  return (4_294_967_296 * (2_097_151 & high) + (low >>> 0)).toString(36);
}
