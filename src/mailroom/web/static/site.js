// Where Mailroom lives: perhaps below a path of the host. This script lies in its static folder, and so it knows.

const root = new URL("..", import.meta.url);

// Returns an address as a link may have it, given what begins at Mailroom's own root: "/sign-in".
export function inSite(path) {
  return path.startsWith("/") ? new URL(path.slice(1), root).href : path;
}
