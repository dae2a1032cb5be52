// Where Mailroom lives: perhaps below a path of the host. This script lies in its static folder, and so it knows.

const root = new URL("..", import.meta.url);

// Returns an address as a link may have it, given what begins at Mailroom's own root: "/sign-in". What begins with a
// slash never leads out of Mailroom, whatever follows it: another address, or the folder above.
export function inSite(path) {
  if (!path.startsWith("/")) return path;
  const { origin, href } = new URL(`.${path}`, root);
  return origin === root.origin && href.startsWith(root.href) ? href : root.href;
}
