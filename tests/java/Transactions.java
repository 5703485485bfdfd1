// Transactions of two Java producers in turn in partition 0, every third one aborted, some with nothing in them.
// With brokers of 4.x each has an epoch of its own (transactions of version 2).
//
//   Transactions BOOTSTRAP TOPIC TRANSACTIONS
//
// Prints how many records were committed and how many written.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Transactions {
    public static void main(String[] args) {
        String topic = args[1];
        int transactions = Integer.parseInt(args[2]);
        List<KafkaProducer<String, String>> producers = new ArrayList<>();
        for (String codec : List.of("lz4", "none")) {
            Map<String, Object> settings = Map.of(
                "bootstrap.servers", args[0], "transactional.id", topic + "-" + codec, "compression.type", codec);
            var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
            producer.initTransactions();
            producers.add(producer);
        }
        long committed = 0;
        long written = 0;
        for (int round = 0; round < transactions; round += producers.size()) {
            int[] sent = new int[producers.size()];
            producers.forEach(KafkaProducer::beginTransaction);
            for (int step = 0; step < 3; step++) {
                for (int p = 0; p < sent.length; p++) {
                    for (int i = 0; i < (round + p) % 7 * step; i++) {
                        String value = "record " + i + " of step " + step + " of transaction " + (round + p);
                        producers.get(p).send(new ProducerRecord<>(topic, 0, "k" + i, value));
                        sent[p]++;
                    }
                    producers.get(p).flush();
                }
            }
            for (int p = 0; p < sent.length; p++) {
                boolean commit = (round + p) % 3 != 0;
                if (commit) {
                    producers.get(p).commitTransaction();
                } else {
                    producers.get(p).abortTransaction();
                }
                committed += commit ? sent[p] : 0;
                written += sent[p];
            }
        }
        producers.forEach(KafkaProducer::close);
        System.out.println("{\"committed\": {\"0\": " + committed + "}, \"written\": {\"0\": " + written + "}}");
    }
}
