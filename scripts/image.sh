#!/usr/bin/env bash
# Prepares the image: the user that the server runs as, and the folder it keeps
# its data in. image.sh [ROOT] does it below another root folder.
set -euo pipefail

root=${1:-}
id=10001 # fixed, so that a volume's files keep their owner when the image changes

grep -q '^muster:' "$root/etc/group" || echo "muster:x:$id:" >>"$root/etc/group"
grep -q '^muster:' "$root/etc/passwd" || echo "muster:x:$id:$id:Muster:/data:/usr/sbin/nologin" >>"$root/etc/passwd"
install -d -m 0700 -o "$id" -g "$id" "$root/data"
