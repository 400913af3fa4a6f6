"""moto_server, with two faults of subnets' IPv6 networks mended that the AWS provider stumbles over."""

import sys

from moto.ec2.models.subnets import Subnet
from moto.server import main

plain = Subnet.get_filter_value


def get_filter_value(self, name, method_name=None):
    if name == "ipv6-cidr-block-association.association-id":
        return list(self.ipv6_cidr_block_associations)
    return plain(self, name, method_name)


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


Subnet.get_filter_value = get_filter_value
Subnet.ipv6_cidr_block_association_set = property(association_set)
main(sys.argv[1:])
