// Service worker: stores the whole page, so that it works offline.
//
// Each version of the page has its own cache. A new version is fetched beside the old one, which
// remains active until every new file is stored and no old page is open.

/** The files of this version and their SHA-256; `ophis web` fills them in. */
const PAGE = { version: "", files: /** @type {Record<string, string>} */ ({}) };

const PREFIX = "ophis-";
const CACHE = PREFIX + PAGE.version;
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

worker.addEventListener("install", (event) => event.waitUntil(store()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("fetch", (event) => {
  const path = pathOf(event.request);
  if (path !== null) event.respondWith(respond(path, event.request));
});

/** Store every file; a missing or different file aborts the installation, and the old page stays. */
async function store() {
  const cache = await caches.open(CACHE);
  for (const [path, digest] of Object.entries(PAGE.files)) {
    await cache.put(urlOf(path), await fileOf(path, digest));
  }
}

/**
 * A file of this version: from an older cache, else from the network.
 *
 * @param {string} path
 * @param {string} digest
 */
async function fileOf(path, digest) {
  const before = await caches.match(urlOf(path));
  if (before && (await digestOf(before)) === digest) return before;
  for (const mode of /** @type {RequestCache[]} */ (["default", "reload"])) {
    const response = await fetch(urlOf(path), { cache: mode });
    if (response.ok && (await digestOf(response)) === digest) return response;
  }
  throw new Error(`${path} differs from version ${PAGE.version}`);
}

/** @param {Response} response */
async function digestOf(response) {
  const bytes = await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer());
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Delete older caches; none of their pages is open. */
async function takeOver() {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(older.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/**
 * Requested file of the page; null: none.
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
async function respond(path, request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(urlOf(path))) ?? fetch(request);
}

/** @param {string} path */
function urlOf(path) {
  return new URL(path, worker.registration.scope).href;
}
