"""moto_server, with faults mended that the AWS provider stumbles over: a subnet's IPv6 network
is not found again, and an interface stays with an instance that has ended."""

import sys

from moto.ec2.models.instances import Instance
from moto.ec2.models.subnets import Subnet
from moto.server import main

filter_value = Subnet.get_filter_value
terminated = Instance.terminate


def get_filter_value(self, name, method_name=None):
    if name == "ipv6-cidr-block-association.association-id":
        return list(self.ipv6_cidr_block_associations)
    return filter_value(self, name, method_name)


def association_set(self):
    return [
        {
            "associationId": key,
            "ipv6CidrBlock": a["ipv6CidrBlock"],
            "ipv6CidrBlockState": {"state": a["ipv6CidrBlockState"]["State"]},
        }
        for key, a in self.ipv6_cidr_block_associations.items()
        if a["ipv6CidrBlockState"]["State"] == "associated"
    ]


def terminate(self):
    state = terminated(self)
    last = dict(self.nics)
    for nic in last.values():
        self.detach_eni(nic)
        if nic.description == "Primary network interface":  # made with the instance
            self.ec2_backend.enis.pop(nic.id, None)
    self.nics = last  # what has ended still tells its addresses
    return state


Subnet.get_filter_value = get_filter_value
Subnet.ipv6_cidr_block_association_set = property(association_set)
Instance.terminate = terminate
main(sys.argv[1:])
