#!/usr/bin/env bash
# Prints what an autoscaled edge has to find out about itself, as the node's environment.
set -e
imds=http://169.254.169.254/latest
token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' $imds/api/token)
meta() { curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/$1"; }
private=$(meta local-ipv4)
public=$(meta public-ipv4 || echo "$private")
echo "TMMS_NODE__ZONE=$(meta placement/availability-zone)"
echo "TMMS_ADVERTISE__FABRIC=$private:7400"
echo "TMMS_ADVERTISE__GOSSIP=$private:7946"
echo "TMMS_ADVERTISE__RTMP=$public:1935"
echo "TMMS_ADVERTISE__HTTP=$public:8080"
