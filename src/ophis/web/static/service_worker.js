// The service worker: keeps the whole page, so that it answers with the network switched off.
//
// One version of the page is one cache. A new version is fetched beside the old one, which goes on
// answering until every file of the new one is there and no old page is open any more.

/** The files of this version and their SHA-256; `ophis web` fills them in. */
const PAGE = { version: "", files: /** @type {Record<string, string>} */ ({}) };

const BEFORE = "ophis-";
const CACHE = BEFORE + PAGE.version;
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

worker.addEventListener("install", (event) => event.waitUntil(store()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("fetch", (event) => {
  const path = pathOf(event.request);
  if (path !== null) event.respondWith(answered(path, event.request));
});

/** Fetch every file; one that is missing or another one stops it all, and the old page stays. */
async function store() {
  const cache = await caches.open(CACHE);
  for (const [path, digest] of Object.entries(PAGE.files)) {
    await cache.put(address(path), await fileOf(path, digest));
  }
}

/**
 * A file of this version: from an older page on this device, else from the network.
 *
 * @param {string} path
 * @param {string} digest
 */
async function fileOf(path, digest) {
  const before = await caches.match(address(path));
  if (before && (await digestOf(before)) === digest) return before;
  for (const how of /** @type {RequestCache[]} */ (["default", "reload"])) {
    const response = await fetch(address(path), { cache: how });
    if (response.ok && (await digestOf(response)) === digest) return response;
  }
  throw new Error(`${path} is not that of version ${PAGE.version}`);
}

/** @param {Response} response */
async function digestOf(response) {
  const bytes = await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer());
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Forget older versions; no page of theirs is open. */
async function takeOver() {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(BEFORE) && name !== CACHE);
  await Promise.all(older.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/**
 * Which file of the page is asked for; null: none of them.
 *
 * @param {Request} request
 */
function pathOf(request) {
  const scope = worker.registration.scope;
  if (request.method !== "GET" || !request.url.startsWith(scope)) return null;
  const path = request.url.slice(scope.length).replace(/[?#].*$/, "") || "index.html";
  return path in PAGE.files ? path : null;
}

/**
 * @param {string} path
 * @param {Request} request
 */
async function answered(path, request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(address(path))) ?? fetch(request);
}

/** @param {string} path */
function address(path) {
  return new URL(path, worker.registration.scope).href;
}
