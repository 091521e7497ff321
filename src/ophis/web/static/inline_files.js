// In a page of a single file the other files stand in it, packed: `fetch` finds them there.

const fromOutside = globalThis.fetch.bind(globalThis);

/**
 * @param {RequestInfo | URL} asked
 * @param {RequestInit} [how]
 */
globalThis.fetch = async (asked, how) => {
  const packed = document.getElementById(`file:${asked}`)?.textContent;
  if (!packed) return fromOutside(asked, how);
  const letters = atob(packed);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = letters.charCodeAt(place);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
};
