"""Topic administration through librdkafka. Prints one JSON document."""

import json
import sys
import time

from confluent_kafka import Consumer, ElectionType, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ConfigResource, NewPartitions, NewTopic,
    ResourcePatternType, ResourceType,
)

import common

ON_TOPIC = 1  # ConfigSource of a setting made on the topic itself


def create(admin, name, partitions, replicas, *configs):
    settings = dict(pair.split("=", 1) for pair in configs)
    topic = NewTopic(name, int(partitions), int(replicas), config=settings)
    existed = name in topic_list(admin)
    for last_try in (False, True):
        try:
            admin.create_topics([topic])[name].result(30)
            break
        except KafkaException as error:
            code = error.args[0].code()
            # A broker that hands the request on asks the controller again when the answer is late: then the first
            # time made it.
            if code == KafkaError.TOPIC_ALREADY_EXISTS and not existed:
                break
            # librdkafka dropped the broker it was asking, having learnt the cluster's own list: nobody knows what
            # became of the request.
            if code != KafkaError._DESTROY_BROKER or last_try:
                raise
    # A topic is made before every broker knows it.
    wait(lambda: len(topic_list(admin).get(name, [])) == int(partitions), f"{name} did not appear")


def delete(admin, *names):
    for future in admin.delete_topics(list(names)).values():
        future.result(30)
    wait(lambda: not set(names) & set(topic_list(admin)), f"{names} did not go")


def grow(admin, name, partitions):
    for future in admin.create_partitions([NewPartitions(name, int(partitions))]).values():
        future.result(30)
    wait(lambda: len(topic_list(admin).get(name, [])) == int(partitions), f"{name} did not grow")


def topics(admin):
    return {name: len(partitions) for name, partitions in topic_list(admin).items()}


def settings(admin, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    entries = admin.describe_configs([resource])[resource].result(30)
    return {key: entry.value for key, entry in entries.items() if entry.source == ON_TOPIC}


def alter(admin, name, *configs):
    """Gives a topic exactly these settings of its own."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, set_config=dict(c.split("=", 1) for c in configs))
    for future in admin.alter_configs([resource]).values():
        future.result(30)


def watermarks(client, place, seconds=20):
    """Where a log begins and ends. A broker that has just come back may not know yet what it leads."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client.get_watermark_offsets(place, timeout=seconds)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def held(admin, name, *only):
    partitions = [int(one) for one in only] or topic_list(admin).get(name, [])
    with_client = Consumer({**common.client(sys.argv[1]), "group.id": "held"})
    total = 0
    for partition in partitions:
        low, high = watermarks(with_client, TopicPartition(name, partition))
        total += high - low
    with_client.close()
    return total


def delete_records(admin, name, partition, offset):
    for future in admin.delete_records([TopicPartition(name, int(partition), int(offset))]).values():
        future.result(30)


def known(admin, name, partition):
    """What is known of a partition. The broker asked may not have heard of it yet."""
    found = {}

    def look():
        found.update(admin.list_topics(name, timeout=20).topics[name].partitions)
        return int(partition) in found

    wait(look, f"{name}-{partition} did not appear")
    return found[int(partition)]


def leader(admin, name, partition):
    return known(admin, name, partition).leader


def elect(admin, name, partition):
    """Has the preferred replica lead."""
    def ask():
        admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition(name, int(partition))]).result(30)

    try:
        ask()
    except KafkaException as error:
        # As in `create`; a second election changes nothing.
        if error.args[0].code() != KafkaError._DESTROY_BROKER:
            raise
        ask()


def replicas(admin, name, partition):
    return known(admin, name, partition).replicas


def allow(admin, resource, name, *operations):
    """Lets everybody do these things to a topic, a group or the cluster; a name with * at the end is a prefix."""
    kind = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
    name = name if name == "*" else name.rstrip("*")
    kind = ResourcePatternType.LITERAL if name == "*" else kind
    # librdkafka calls the cluster BROKER.
    resource = ResourceType.BROKER if resource == "CLUSTER" else ResourceType[resource]
    bindings = [
        AclBinding(resource, name, kind, "User:*", "*", AclOperation[operation], AclPermissionType.ALLOW)
        for operation in operations
    ]
    for future in admin.create_acls(bindings).values():
        future.result(30)


def add_acl(admin, *texts):
    """Adds bindings, each as `acls` prints them."""
    for future in admin.create_acls([acl_binding(text) for text in texts]).values():
        future.result(30)


def remove_acl(admin, *texts):
    filters = []
    for text in texts:
        binding = acl_binding(text)
        filters.append(AclBindingFilter(
            binding.restype, binding.name, binding.resource_pattern_type, binding.principal, binding.host,
            binding.operation, binding.permission_type,
        ))
    for future in admin.delete_acls(filters).values():
        future.result(30)


def acl_binding(text):
    kind, pattern, name, principal, host, operation, permission = text.split(" ")
    return AclBinding(
        ResourceType["BROKER" if kind == "CLUSTER" else kind], name, ResourcePatternType[pattern], principal, host,
        AclOperation[operation], AclPermissionType[permission],
    )


def acls(admin):
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    bindings = admin.describe_acls(everything).result(30)
    return sorted(
        f"{b.restype.name} {b.resource_pattern_type.name} {b.name} {b.principal} {b.host} {b.operation.name} "
        f"{b.permission_type.name}"
        for b in bindings
    )


def topic_list(admin):
    listed = admin.list_topics(timeout=20).topics
    return {name: list(topic.partitions) for name, topic in listed.items() if topic.error is None}


def wait(done, problem, seconds=30):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(problem)
        time.sleep(0.05)


COMMANDS = {
    "create": create, "delete": delete, "grow": grow, "topics": topics, "settings": settings, "alter": alter,
    "held": held, "delete-records": delete_records, "leader": leader, "elect": elect, "replicas": replicas, "allow": allow,
    "acls": acls, "add-acl": add_acl, "remove-acl": remove_acl,
}

if __name__ == "__main__":
    bootstrap, command, *arguments = sys.argv[1:]
    try:
        print(json.dumps(COMMANDS[command](AdminClient(common.client(bootstrap)), *arguments)))
    except KafkaException as error:
        sys.exit(f"{command} {arguments}: {error}")
