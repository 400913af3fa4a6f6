#!/usr/bin/env bash
# Installs Prometheus and Grafana on this host, by what monitoring.env beside it says; it
# may run again at any time, and does nothing to a service that runs with what is there.
# The nodes' token and Grafana's password are files that nobody else may read; without them
# nothing is started.
set -euo pipefail
# shellcheck source=/dev/null
. "${0%.sh}.env"
export DEBIAN_FRONTEND=noninteractive
etc=$(dirname "$TOKEN") lib=/usr/local/lib/tmms

say() { echo "tmms: $*" >&2; }
die() { say "$@"; exit 1; }

# again runs a command until it succeeds, 20 times: the network may not be there yet.
again() {
    local try
    for ((try = 1; ; try++)); do
        if "$@"; then return; fi
        [ "$try" -lt 20 ] || die "$1: in vain after $try tries"
        sleep 10
    done
}

# have tells whether all secrets are there.
have() { [ -s "$TOKEN" ] && { [ -z "$PASSWORD" ] || [ -s "$PASSWORD" ]; }; }

fetch() { (umask 077 && TOKEN=$TOKEN PASSWORD=$PASSWORD bash -e "$lib/fetch-secrets") && have; }

secrets() {
    mkdir -p "$etc" ${PASSWORD:+"$(dirname "$PASSWORD")"}
    if ! have && [ -f "$lib/fetch-secrets" ]; then again fetch; fi
    have || die "put the secrets there and run $lib/monitoring.sh again: $TOKEN $PASSWORD"
}

# protect gives a secret to the one user that reads it.
protect() {
    chown "$2" "$1"
    chmod 0400 "$1"
}

packages() {
    command -v prometheus >/dev/null || {
        again apt-get -q update
        again apt-get -qy install --no-install-recommends prometheus curl ca-certificates
    }
    [ -n "$GRAFANA" ] || return 0
    [ "$(cat "$lib/grafana.sha256" 2>/dev/null)" != "$SHA256" ] || return 0
    local deb
    deb=$(mktemp --suffix=.deb)
    again curl -fsSL --connect-timeout 10 --max-time 600 -o "$deb" "$GRAFANA"
    [ "$(sha256sum "$deb" | cut -d' ' -f1)" = "$SHA256" ] || die "$GRAFANA: SHA-256 is $(sha256sum "$deb" | cut -d' ' -f1), want $SHA256"
    chmod 0644 "$deb"
    again apt-get -qy -o Dpkg::Options::=--force-confold install --no-install-recommends "$deb"
    rm -f "$deb"
    echo "$SHA256" >"$lib/grafana.sha256"
}

# current starts a service, or restarts it if what it reads is another than it was
# started with: $2 and so on.
current() {
    local service=$1 now
    shift
    now=$(find "$@" -type f -exec sha256sum {} + | sort | sha256sum | cut -d' ' -f1)
    systemctl enable -q "$service"
    if systemctl -q is-active "$service" && [ "$(cat "$lib/$service.state" 2>/dev/null)" = "$now" ]; then return; fi
    systemctl restart "$service"
    echo "$now" >"$lib/$service.state"
}

main() {
    secrets
    packages
    protect "$TOKEN" prometheus:prometheus
    promtool check config "$etc/prometheus.yaml" >/dev/null || die "$etc/prometheus.yaml is not good; nothing was restarted"
    systemctl daemon-reload
    current prometheus "$etc" /etc/systemd/system/prometheus.service.d
    [ -n "$GRAFANA" ] || return 0
    protect "$PASSWORD" grafana:grafana
    current grafana-server /etc/grafana/provisioning /etc/systemd/system/grafana-server.service.d "$lib/grafana.sha256"
}

main
