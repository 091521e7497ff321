/** The page's own files, which come from where the page comes from. */

/**
 * @param {string} path
 * @returns {Promise<any>} what the JSON file holds
 */
export async function readJson(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(`${path}: status ${reply.status}`);
  return reply.json();
}
