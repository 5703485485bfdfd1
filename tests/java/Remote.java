// Asks a cluster that is mirrored to what applications ask it, with Kafka's own classes.
//
//   Remote at BOOTSTRAP question... at BOOTSTRAP question...
//
// Questions, to the cluster named last: upstreamClusters, heartbeatTopics, checkpointTopics, replicationHops ALIAS, translateOffsets ALIAS GROUP
// (RemoteClusterUtils), and show FORMATTER TOPIC COUNT (the console consumer with MirrorMaker 2's formatter). Each
// answer is a line `> question: answer` with names in order; behind `> show` follow the lines of the formatter.

import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;
import org.apache.kafka.tools.consumer.ConsoleConsumer;

public class Remote {
    static final Duration PATIENCE = Duration.ofSeconds(30);

    public static void main(String[] args) throws Exception {
        String bootstrap = null;
        Map<String, Object> settings = null;
        Iterator<String> words = Arrays.asList(args).iterator();
        while (words.hasNext()) {
            String question = words.next();
            switch (question) {
                case "at":
                    bootstrap = words.next();
                    settings = Map.of("bootstrap.servers", bootstrap);
                    break;
                case "upstreamClusters":
                    answer(question, RemoteClusterUtils.upstreamClusters(settings));
                    break;
                case "heartbeatTopics":
                    answer(question, RemoteClusterUtils.heartbeatTopics(settings));
                    break;
                case "checkpointTopics":
                    answer(question, RemoteClusterUtils.checkpointTopics(settings));
                    break;
                case "replicationHops":
                    System.out.println("> " + question + ": " + RemoteClusterUtils.replicationHops(settings, words.next()));
                    break;
                case "translateOffsets":
                    answer(question, offsets(settings, words.next(), words.next()));
                    break;
                case "show":
                    show(bootstrap, words.next(), words.next(), words.next());
                    break;
                default:
                    throw new IllegalArgumentException(question);
            }
        }
        System.exit(0);
    }

    static void answer(String question, Set<String> names) {
        System.out.println("> " + question + ": " + String.join(" ", new TreeSet<>(names)));
    }

    static Set<String> offsets(Map<String, Object> settings, String alias, String group) throws Exception {
        Set<String> lines = new TreeSet<>();
        Map<TopicPartition, OffsetAndMetadata> translated =
            RemoteClusterUtils.translateOffsets(settings, alias, group, PATIENCE);
        translated.forEach((partition, to) -> lines.add(partition + "=" + to.offset() + to.metadata()));
        return lines;
    }

    static void show(String bootstrap, String formatter, String topic, String count) throws Exception {
        System.out.println("> show:");
        ConsoleConsumer.main(new String[] {
            "--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning", "--max-messages", count,
            "--timeout-ms", String.valueOf(PATIENCE.toMillis()),
            "--formatter", "org.apache.kafka.connect.mirror.formatters." + formatter,
        });
    }
}
