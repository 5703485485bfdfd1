"""Gives users SCRAM credentials through librdkafka: `scram.py BOOTSTRAP USER PASSWORD...`, of both hashes. Prints []."""

import sys

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

import common

bootstrap, *pairs = sys.argv[1:]
admin = AdminClient(common.client(bootstrap))
for user, password in zip(pairs[::2], pairs[1::2]):
    # A broker takes one change of a user in a request.
    for mechanism, iterations in ((ScramMechanism.SCRAM_SHA_256, 4096), (ScramMechanism.SCRAM_SHA_512, 8192)):
        change = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, iterations), password.encode())
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(30)
print([])
