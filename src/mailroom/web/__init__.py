"""Web: the only room that knows Quart. Routes take plain values out of the request and hand them down."""
