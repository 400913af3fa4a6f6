"""moto_server with one filter more: the AWS provider asks for it until a subnet has its IPv6 network."""

import sys

from moto.ec2.models.subnets import Subnet
from moto.server import main

plain = Subnet.get_filter_value


def get_filter_value(self, name, method_name=None):
    if name == "ipv6-cidr-block-association.association-id":
        return list(self.ipv6_cidr_block_associations)
    return plain(self, name, method_name)


Subnet.get_filter_value = get_filter_value
main(sys.argv[1:])
