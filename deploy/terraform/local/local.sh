#!/usr/bin/env bash
# What Terraform runs for local/: local.sh COMMAND, all else in the environment.
# Every command may run again; those that begin with no- remove what the other made.
set -euo pipefail

run=$FOLDER/run    # of the links: pid and log
nodes=$FOLDER/nodes # each with etc/tmms, var/lib/tmms, run/tmms.{pid,log}
pki=$FOLDER/pki

say() { echo "local: $*" >&2; }
die() { say "$@"; exit 1; }

# within NAME CMD... runs a command in the network of a node or region.
within() { local name=$1; shift; nsenter --net="/run/netns/$CLUSTER-$name" -- "$@"; }

namespace() {
    [ -e "/run/netns/$1" ] || ip netns add "$1"
    ip -n "$1" link set lo up
}

no_namespace() { if [ -e "/run/netns/$1" ]; then ip netns del "$1"; fi; }

# router is the first address of a network, with its prefix's length where it is asked for.
router() { echo "${1%.*}.1"; }

# alive PIDFILE WORD: is its process there, and is it the one whose command has WORD?
alive() {
    [ -s "$1" ] && tr '\0' ' ' <"/proc/$(cat "$1")/cmdline" 2>/dev/null | grep -qF -- "$2"
}

# end PIDFILE WORD ends that process, by force after 30 s.
end() {
    local i
    for ((i = 0; i < 350; i++)); do
        alive "$1" "$2" || break
        if [ "$i" = 0 ]; then kill "$(cat "$1")"; fi
        if [ "$i" = 300 ]; then kill -KILL "$(cat "$1")"; fi
        sleep 0.1
    done
    rm -f "$1"
}

node_runs() { alive "$nodes/$1/run/tmms.pid" "$nodes/$1/etc/tmms/node.yaml"; }

origin() { grep -q '^ *- "origin"' "$nodes/$1/etc/tmms/node.yaml" 2>/dev/null; }

ready() { within "$1" curl -sf -m 5 -o /dev/null http://127.0.0.1:8090/readyz; }

# wait_ready NAME SECONDS
wait_ready() {
    local over=$((SECONDS + $2))
    until ready "$1"; do
        [ "$SECONDS" -lt "$over" ] || die "$1 is not ready after $2 s: $(within "$1" curl -s -m 5 http://127.0.0.1:8090/readyz || tail -n 5 "$nodes/$1/run/tmms.log")"
        sleep 0.3
    done
}

# peer names an origin that is ready, other than $1.
peer() {
    local dir name
    for dir in "$nodes"/*/; do
        name=$(basename "$dir")
        if [ "$name" != "$1" ] && origin "$name" && node_runs "$name" && ready "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

folder() {
    mkdir -p "$run" "$nodes"
    [ -e "$pki/ca.crt" ] || "$TMMS" cert init --dir "$pki" >/dev/null
}

no_folder() {
    rm -rf "$pki" "$run" "$nodes" "$FOLDER/lock" "$FOLDER/edition" "$FOLDER/ending"
    rmdir "$FOLDER" 2>/dev/null || say "$FOLDER is not empty: it stays"
}

region() {
    local ns=$CLUSTER-$REGION
    namespace "$ns"
    ip -n "$ns" link show br0 >/dev/null 2>&1 || ip -n "$ns" link add br0 type bridge
    ip -n "$ns" addr replace "$(router "$CIDR")/${CIDR#*/}" dev br0
    ip -n "$ns" link set br0 up
    within "$REGION" sysctl -qw net.ipv4.ip_forward=1
}

link() {
    local pidfile=$run/link-$DEVICE.pid a=$CLUSTER-$A b=$CLUSTER-$B i
    if ! alive "$pidfile" "$DEVICE"; then
        setsid "$BENCH" shape -a "$a" -b "$b" -device "$DEVICE" -delay "$DELAY" \
            -addr-a "$(router "$CIDR_A")/32" -addr-b "$(router "$CIDR_B")/32" >"$run/link-$DEVICE.log" 2>&1 </dev/null &
        echo $! >"$pidfile"
    fi
    for ((i = 0; i < 300; i++)); do
        if ip -n "$a" route replace "$CIDR_B" dev "$DEVICE" src "$(router "$CIDR_A")" 2>/dev/null &&
            ip -n "$b" route replace "$CIDR_A" dev "$DEVICE" src "$(router "$CIDR_B")" 2>/dev/null; then
            return
        fi
        kill -0 "$(cat "$pidfile")" 2>/dev/null || die "no link between $A and $B: $(cat "$run/link-$DEVICE.log")"
        sleep 0.1
    done
    die "no link between $A and $B after 30 s: $(cat "$run/link-$DEVICE.log")"
}

no_link() {
    end "$run/link-$DEVICE.pid" "$DEVICE"
    rm -f "$run/link-$DEVICE.log"
}

node() {
    local ns=$CLUSTER-$NODE
    namespace "$ns"
    ip -n "$ns" link show eth0 >/dev/null 2>&1 ||
        ip -n "$ns" link add eth0 type veth peer name "$DEVICE" netns "$CLUSTER-$REGION"
    ip -n "$CLUSTER-$REGION" link set "$DEVICE" master br0 up
    ip -n "$ns" addr replace "$ADDRESS/${CIDR#*/}" dev eth0
    ip -n "$ns" link set eth0 up
    ip -n "$ns" route replace default via "$(router "$CIDR")"
}

# away names the members of the raft group that its leader has not heard of for 10 s, and
# those that have no vote yet.
away() {
    within "$1" "$TMMS" raft status |
        awk '$2 == "catching" || $2 == "voter" && $3 != "now" && ($3 ~ /[mh]/ || $3 + 0 >= 10) { printf " %s", $1 }'
}

# alone holds an origin that runs to be the only one that is missing, before it goes: all
# others are ready, and the raft group has all its voters. It waits for that, but not for
# what does not run.
alone() {
    local dir name other missing over=$((SECONDS + 60))
    for dir in "$nodes"/*/; do
        name=$(basename "$dir")
        if [ "$name" != "$NODE" ] && origin "$name"; then
            node_runs "$name" || die "$NODE stays: $name does not run, start it first"
            wait_ready "$name" 60
        fi
    done
    other=$(peer "$NODE") || return 0
    while missing=$(away "$other") || missing=' its leader'; [ -n "$missing" ]; do
        [ "$SECONDS" -lt "$over" ] || die "$NODE stays: the raft group misses$missing"
        sleep 0.5
    done
}

# no_node drains the node where another origin can do that, and ends it. What it leaves
# to others is over in seconds; for what plays on it waits 10 s. Of origins only one at a
# time goes, unless it is the end of all.
no_node() {
    local other
    if origin "$NODE" && node_runs "$NODE" && [ ! -e "$FOLDER/ending" ]; then
        exec 8>"$FOLDER/lock"
        flock 8
        alone
    fi
    if node_runs "$NODE"; then
        if other=$(peer "$NODE"); then
            within "$other" timeout 30 "$TMMS" drain "$NODE" --wait 10s || say "$NODE is ended undrained"
        fi
        end "$nodes/$NODE/run/tmms.pid" "$nodes/$NODE/etc/tmms/node.yaml"
    fi
    rm -rf "${nodes:?}/$NODE"
    no_namespace "$CLUSTER-$NODE"
}

files() {
    local path content
    while read -r path content; do
        mkdir -p "$(dirname "$path")"
        base64 -d <<<"$content" >"$path"
    done <<<"$FILES"
}

# deliver NAME puts a node's certificate where it looks for it every 10 s. The gossip's
# key is one that the cluster itself may have changed: a new node gets that of another.
deliver() {
    local to=$nodes/$1/etc/tmms/pki file key=$pki/gossip.key
    mkdir -p "$to"
    for file in "$1.crt:node.crt" "$1.key:node.key" ca.crt:ca.crt; do
        install -m 0600 "$pki/${file%:*}" "$to/${file#*:}.new"
    done
    for file in node.key node.crt ca.crt; do mv "$to/$file.new" "$to/$file"; done
    if [ ! -e "$to/gossip.key" ]; then
        for file in "$nodes"/*/etc/tmms/pki/gossip.key; do
            if [ -e "$file" ]; then key=$file; fi
        done
        install -m 0600 "$key" "$to/gossip.key"
    fi
}

# clients NAME counts who publishes and plays there.
clients() {
    within "$1" curl -sf -m 5 http://127.0.0.1:8090/metrics |
        awk '/^tmms_(edge_viewers|origin_publishers)[{ ]/ { n += $NF } END { print n + 0 }'
}

# turn takes the lock when it is this node's turn: of those that wait the one with the
# fewest clients is first. They go to a node whose turn is over, as long as there is one;
# those of the first have none, and move again.
turn() {
    local ticket file
    mkdir -p "$run/turns"
    ticket=$run/turns/$(printf %08d "$(clients "$NODE")")-$NODE
    echo $$ >"$ticket"
    sleep 3 # Terraform begins with all of them in the same moment
    while flock 8; do
        for file in "$run"/turns/*; do
            if alive "$file" 'local.sh install'; then break; fi
        done
        [ "$file" != "$ticket" ] || break
        flock -u 8
        sleep 0.2
    done
    rm -f "$ticket"
}

# install_node starts a node, or brings one up to date that runs: then nothing else is
# down, before and after it.
install_node() {
    files
    exec 8>"$FOLDER/lock"
    if node_runs "$NODE"; then turn; else flock 8; fi
    [ -e "$pki/$NODE.crt" ] || "$TMMS" cert node "$NODE" --roles "$ROLES" --dir "$pki" >/dev/null
    if [ ! -e "$nodes/$NODE/etc/tmms/pki/node.key" ]; then deliver "$NODE"; fi
    if ! node_runs "$NODE"; then
        within "$NODE" bash "$INSTALL" --binary "$TMMS" 8>&-
        return
    fi
    local dir name other over
    for dir in "$nodes"/*/; do
        name=$(basename "$dir")
        if origin "$name"; then wait_ready "$name" 60; fi
    done
    other=$(peer "$NODE") || other=''
    if [ -n "$other" ]; then
        within "$other" "$TMMS" drain "$NODE" --wait "$DRAIN" 8>&- || say "$NODE is not drained; its viewers come back by themselves"
    fi
    within "$NODE" bash "$INSTALL" --binary "$TMMS" 8>&-
    over=$((SECONDS + 60))
    until [ -z "$other" ] || within "$other" "$TMMS" drain "$NODE" --off 8>&-; do
        [ "$SECONDS" -lt "$over" ] || die "$NODE is still drained: tmms drain $NODE --off"
        sleep 0.5
    done
    wait_ready "$NODE" 60
}

all_ready() {
    local name
    for name in $ALL; do wait_ready "$name" 120; done
}

certificates() {
    local dir
    if [ "$EDITION" -gt "$(cat "$FOLDER/edition" 2>/dev/null || echo 1)" ]; then
        "$TMMS" cert rotate --all --dir "$pki" >/dev/null
        for dir in "$nodes"/*/; do deliver "$(basename "$dir")"; done
    fi
    echo "$EDITION" >"$FOLDER/edition"
}

domains() { within "$(peer '')" "$TMMS" apply -f "$DOMAINS"; }

case $1 in
folder) folder ;;
no-folder) no_folder ;;
region) region ;;
no-region) no_namespace "$CLUSTER-$REGION" ;;
link) link ;;
no-link) no_link ;;
beginning) rm -f "$FOLDER/ending" ;;
ending) touch "$FOLDER/ending" ;;
node) node ;;
no-node) no_node ;;
install) install_node ;;
ready) all_ready ;;
certificates) certificates ;;
domains) domains ;;
*) die "unknown command: $1" ;;
esac
