
# install.sh [--binary FILE] [--wait SECONDS] [--drain [API]] [--token FILE] [--remove]
#   --binary FILE    take this binary instead of fetching URL
#   --wait SECONDS   wait so long for /readyz after a start, and fail if it does not come
#   --drain [API]    a restart waits until nobody else is away, empties the node, takes it
#                    into service again and waits until it is ready; an edge asks an
#                    origin's API to be emptied
#   --token FILE     the API's token, else TMMS_TOKEN
#   --remove         end the node, with --drain emptied, and remove all that was put here
# Does nothing to a running node when binary, node.yaml and unit are those it runs with.
set -euo pipefail

etc=$ROOT/etc/tmms pki=$ROOT/etc/tmms/pki lib=$ROOT/usr/local/lib/tmms
data=$ROOT/var/lib/tmms bin=$ROOT/usr/local/bin/tmms pidfile=$ROOT/run/tmms.pid
binary='' wait=0 drain='' gentle='' remove=''
NODE=${NODE:-$(hostname -s)}

say() { echo "tmms: $*" >&2; }
die() { say "$@"; exit 1; }

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --binary) binary=${2:?--binary wants a FILE}; shift 2 ;;
        --wait) wait=${2:?--wait wants SECONDS}; shift 2 ;;
        --drain)
            drain=$ADMIN gentle=yes; shift
            case ${1-} in http*) drain=$1; shift ;; esac
            ;;
        --token) TMMS_TOKEN=$(cat "${2:?--token wants a FILE}"); export TMMS_TOKEN; shift 2 ;;
        --remove) remove=yes; shift ;;
        *) die "unknown argument: $1" ;;
        esac
    done
}

# user makes the node's user; without an init system the node runs as who starts it.
user() {
    if [ "$INIT" = systemd ] && ! id tmms >/dev/null 2>&1; then
        useradd --system --user-group --home-dir /var/lib/tmms --no-create-home --shell /usr/sbin/nologin tmms
    fi
}

own() { if [ "$INIT" = systemd ]; then chown "$@"; fi; }

# disk mounts the data disk. Only a disk that has nothing on it gets a file system:
# blkid finds nothing (2), and the first MiB is empty.
disk() {
    [ -n "$DISK" ] || return 0
    local i found=0
    for ((i = 0; i < 150; i++)); do
        [ ! -b "$DISK" ] || break
        sleep 2
    done
    [ -b "$DISK" ] || die "$DISK: no such disk after 300 s"
    blkid -p "$DISK" >/dev/null 2>&1 || found=$?
    if [ "$found" = 2 ]; then
        [ "$(head -c 1048576 "$DISK" | tr -d '\0' | wc -c)" = 0 ] || die "$DISK: it has data but no file system that is known; nothing is done to it"
        say "$DISK is empty: making a file system"
        mkfs.ext4 -q -m 0 -L tmms "$DISK"
    elif [ "$found" != 0 ]; then
        die "$DISK: blkid ended with $found; nothing is done to it"
    fi
    mkdir -p "$data"
    local uuid
    uuid=$(blkid -p -o value -s UUID "$DISK")
    if ! grep -q "^UUID=$uuid " /etc/fstab; then
        echo "UUID=$uuid $data ext4 noatime,nofail,x-systemd.device-timeout=60 0 2" >>/etc/fstab
    fi
    mountpoint -q "$data" || mount "$data"
}

folders() {
    mkdir -p "$etc" "$pki" "$lib" "$data" "$(dirname "$bin")" "$(dirname "$pidfile")"
    own tmms:tmms "$pki" "$data"
    chmod 0750 "$pki" "$data"
}

sum() { sha256sum "$1" | cut -d' ' -f1; }

# fetch puts the file that SHA256 is of at $1.
fetch() {
    if [ -n "$binary" ]; then
        cp "$binary" "$1"
    else
        [ -n "$URL" ] || die "no binary $SHA256 here, and no URL to fetch it from: give --binary FILE"
        local try
        for ((try = 1; ; try++)); do
            if curl -fsSL --connect-timeout 10 --max-time 600 -o "$1" "$URL"; then break; fi
            [ "$try" -lt 20 ] || die "$URL: not to be had after $try tries"
            sleep 5
        done
    fi
    [ "$(sum "$1")" = "$SHA256" ] || die "${binary:-$URL}: SHA-256 is $(sum "$1"), want $SHA256"
}

# release puts the new binary beside the old one, whose process goes on, and points the
# name at it. The file is named for what was fetched, so the next run finds it. The old
# one stays for a way back; older ones go.
release() {
    local name=$lib/tmms-${SHA256:0:16} old tmp
    if [ ! -x "$name" ]; then
        tmp=$(mktemp -d "$lib/new.XXXXXX")
        # shellcheck disable=SC2064 # the folder's name is known now
        trap "rm -rf '$tmp'" EXIT
        fetch "$tmp/file"
        case $URL in
        *.tar.gz | *.tgz) if [ -z "$binary" ]; then unpack "$tmp"; fi ;;
        esac
        chmod 0755 "$tmp/file"
        "$tmp/file" version >/dev/null || die "$SHA256 is no tmms for this machine"
        mv "$tmp/file" "$name"
    fi
    old=$(readlink "$bin" || true)
    ln -sfn "$name" "$bin.new"
    mv -T "$bin.new" "$bin"
    for tmp in "$lib"/tmms-*; do
        [ "$tmp" = "$name" ] || [ "$tmp" = "$old" ] || rm -f "$tmp"
    done
}

unpack() {
    mkdir "$1/tree"
    tar -xzf "$1/file" -C "$1/tree"
    mv "$(find "$1/tree" -type f -name tmms | head -n 1)" "$1/file" || die "$URL: no tmms in it"
}

# secrets fetches what the node needs to be let in, if it is not there already.
secrets() {
    local need=$pki/node.key try
    if [ "$SECRETS" = join ]; then need=$etc/join.token; fi
    if [ ! -s "$need" ] && [ ! -s "$pki/node.crt" ] && [ -f "$lib/fetch-secrets" ]; then
        for ((try = 1; ; try++)); do
            if (umask 077 && PKI=$pki ETC=$etc NODE=$NODE bash -e "$lib/fetch-secrets") && [ -s "$need" ]; then break; fi
            [ "$try" -lt 20 ] || die "$need: fetch-secrets did not bring it in $try tries"
            sleep 10
        done
    fi
    if [ ! -s "$need" ] && [ ! -s "$pki/node.crt" ]; then
        die "$need is missing: put it there (docs/certificates.md) and run $lib/install.sh again"
    fi
    own -R tmms:tmms "$pki"
    find "$pki" -type f -exec chmod 0600 {} +
    local file
    for file in "$etc/tokens.yaml" "$etc/join.token"; do
        if [ -e "$file" ]; then own tmms:tmms "$file"; chmod 0600 "$file"; fi
    done
}

kernel() {
    if [ "$INIT" = systemd ]; then
        sysctl -q -e -p /etc/sysctl.d/60-tmms.conf || say "some settings of the kernel are not to be had here"
    fi
}

# logs brings the unit that ships them up to date, after the node: a collector that is not
# there keeps nobody from watching.
logs() {
    [ "$INIT" = systemd ] || return 0
    if [ "$LOGS" = no ]; then
        systemctl disable -q --now tmms-logs 2>/dev/null || true
        return 0
    fi
    bash -e "$lib/setup-logs" || say "$lib/setup-logs failed: logs stay in the journal for now"
    systemctl daemon-reload
    systemctl enable -q tmms-logs
    systemctl restart tmms-logs || say "tmms-logs does not run"
}

# state names what a process was started with.
state() {
    {
        echo "$SHA256"
        cat "$etc/node.yaml"
        if [ "$INIT" = systemd ]; then cat /etc/systemd/system/tmms.service; fi
    } | sha256sum | cut -d' ' -f1
}

running() {
    if [ "$INIT" = systemd ]; then systemctl -q is-active tmms; return; fi
    [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null
}

stop() {
    local i
    if [ "$INIT" = systemd ]; then systemctl stop tmms; return; fi
    kill "$(cat "$pidfile")"
    for ((i = 0; i < 300; i++)); do
        running || return 0
        sleep 0.1
    done
    die "process $(cat "$pidfile") has not ended in 30 s"
}

start() {
    if [ "$INIT" = systemd ]; then
        systemctl daemon-reload
        systemctl enable -q tmms
        systemctl restart tmms
        return
    fi
    setsid "$bin" run --config "$etc/node.yaml" >>"$ROOT/run/tmms.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
}

# until_ok asks a path of the admin API until it answers with 200, for $2 seconds.
until_ok() {
    local end=$((SECONDS + $2))
    until curl -sf -m 5 -o /dev/null "$ADMIN$1"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.5
    done
}

# away names who else is not in service, as far as this node knows: voters that are not
# alive, and nodes of any kind that are drained.
away() {
    "$bin" get nodes --api "$ADMIN" 2>/dev/null | awk -F '  +' -v me="$NODE" -v voters="$VOTERS" '
        NR == 1 { heard = 1; next }
        $5 ~ /^alive/ { alive[$1] = 1 }
        $5 ~ /^alive, draining/ && $1 != me { print $1 " is drained" }
        END {
            n = split(voters, all, " ")
            for (i = 1; heard && i <= n; i++) if (!alive[all[i]] && all[i] != me) print all[i] " is not alive"
            exit !heard
        }'
}

# alone waits until nobody else is away.
alone() {
    local end=$((SECONDS + 120)) others
    while others=$(away); do
        [ -n "$others" ] || return 0
        [ "$SECONDS" -lt "$end" ] || die "${others//$'\n'/, }: $NODE is left as it is, one is away at a time"
        sleep 1
    done
    say "$NODE does not say who else is away"
}

# empty drains the node. That is noted here, so that whoever starts it next takes it into
# service again.
empty() {
    : >"$lib/drained"
    timeout 300 "$bin" drain "$NODE" --wait "$DRAIN" --api "$drain" || say "$NODE is not drained; its viewers come back by themselves"
}

restart() {
    local was=''
    if running; then
        was=yes
        if [ -n "$gentle" ]; then alone; fi
        if [ -n "$drain" ]; then empty; fi
        stop
    fi
    start
    if [ -n "$drain" ] && [ -e "$lib/drained" ]; then
        undrain
        rm -f "$lib/drained"
    elif [ -n "$gentle" ] && [ -n "$was" ]; then
        until_ok /readyz 120 || die "$NODE is not ready after 120 s: $(curl -s -m 5 "$ADMIN/readyz" || true)"
    fi
}

# undrain takes the node into service again. It says so until the node is ready: a process
# that has not read its state yet does not know that it is drained.
undrain() {
    local end=$((SECONDS + 120))
    until "$bin" drain "$NODE" --off --api "$drain" && until_ok /readyz 2; do
        [ "$SECONDS" -lt "$end" ] || die "$NODE is not in service after 120 s: tmms drain $NODE --off"
        sleep 1
    done
}

# uninstall ends the node and removes what this script and its caller have put here. What
# is mounted at the data folder stays mounted, and is empty.
uninstall() {
    if running; then
        if [ -n "$drain" ]; then empty; fi
        stop
    fi
    if [ "$INIT" = systemd ]; then
        systemctl -q disable tmms 2>/dev/null || true
        systemctl -q disable --now tmms-logs 2>/dev/null || true
        rm -f /etc/systemd/system/tmms.service /etc/systemd/system/tmms-logs.service /etc/sysctl.d/60-tmms.conf
        systemctl daemon-reload
        userdel tmms 2>/dev/null || true
    fi
    rm -rf "$etc" "$lib" "$bin" "$pidfile" "$ROOT/run/tmms.log"
    if [ -d "$data" ]; then
        find "$data" -mindepth 1 -delete
        mountpoint -q "$data" || rmdir "$data"
    fi
    if [ -n "$ROOT" ]; then find "$ROOT" -depth -type d -empty -delete; fi
}

main() {
    arguments "$@"
    if [ "$ORIGIN" = no ] && [ "$drain" = "$ADMIN" ]; then
        say "an edge cannot drain itself: give --drain an origin's API"
        drain=''
    fi
    if [ -n "$remove" ]; then
        uninstall
        return
    fi
    user
    disk
    folders
    release
    secrets
    "$bin" config check --config "$etc/node.yaml" || die "$etc/node.yaml is not good; the running node was not touched"
    kernel
    local now
    now=$(state)
    if ! running || [ "$(cat "$lib/state" 2>/dev/null)" != "$now" ]; then
        restart
        echo "$now" >"$lib/state"
    fi
    logs
    if [ "$wait" != 0 ]; then
        until_ok /readyz "$wait" || die "$NODE is not ready after $wait s: $(curl -s -m 5 "$ADMIN/readyz" || true)"
    fi
}

main "$@"
