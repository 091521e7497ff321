// Files inside a single-file page, compressed; `fetch` reads them from there.

const originalFetch = globalThis.fetch.bind(globalThis);

/**
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 */
globalThis.fetch = async (input, init) => {
  const packed = document.getElementById(`file:${input}`)?.textContent;
  if (!packed) return originalFetch(input, init);
  const letters = atob(packed);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
};
