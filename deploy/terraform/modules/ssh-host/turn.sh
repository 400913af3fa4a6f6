#!/usr/bin/env bash
# turn.sh take|give: what NODE is about to do is done by one node at a time within a run of
# Terraform, whatever its -parallelism is. A node that has failed keeps its turn, so that
# nothing is done to those that wait: they give up when nothing has moved for PATIENCE
# seconds. The turn belongs to the run, the parent of this process.
set -euo pipefail

folder=${TMPDIR:-/tmp}
turn=$folder/tmms-turn-$PPID

# stale removes the turns of runs that have ended.
stale() {
    local old
    for old in "$folder"/tmms-turn-*; do
        if [ -O "$old" ] && ! kill -0 "${old##*-}" 2>/dev/null; then rm -rf "$old"; fi
    done
}

take() {
    local over holder='' now
    over=$((SECONDS + PATIENCE))
    until mkdir "$turn" 2>/dev/null; do
        now=$(cat "$turn/holder" 2>/dev/null || true)
        if [ "$now" != "$holder" ]; then
            holder=$now
            over=$((SECONDS + PATIENCE))
        fi
        if [ "$SECONDS" -ge "$over" ]; then
            echo "turn.sh: $holder has not finished its turn in $PATIENCE s: $NODE is left as it is" >&2
            exit 1
        fi
        sleep 0.3
    done
    echo "$NODE" >"$turn/holder"
}

case $1 in
take) stale; take ;;
give) rm -rf "$turn" ;;
*) echo "turn.sh: unknown command: $1" >&2; exit 1 ;;
esac
