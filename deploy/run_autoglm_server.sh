#!/bin/sh
# Does what `npm start` does: sets up what is missing, then starts the mesh. Flags go to `autoglm serve`.
exec node "$(dirname "$0")/bootstrap.mjs" start "$@"
