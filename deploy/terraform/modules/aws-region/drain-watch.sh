#!/usr/bin/env bash
# Waits until the autoscaling group wants to end this instance (its target state is
# Terminated, and the hook holds it), ends the node, which drains it, and says go on.
set -u
imds=$${IMDS:-http://169.254.169.254/latest}
meta() {
    local token
    token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/api/token") &&
        curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/$1"
}
until [ "$(meta autoscaling/target-lifecycle-state)" = Terminated ]; do sleep 5; done
systemctl stop tmms
until aws --region ${region} autoscaling complete-lifecycle-action --auto-scaling-group-name ${group} \
    --lifecycle-hook-name ${hook} --lifecycle-action-result CONTINUE --instance-id "$(meta instance-id)"; do
    sleep 5
done
