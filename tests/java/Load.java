// Loads a topic for the benchmarks with the Java producer, so that batches look as they do in the field.
//
//   Load BOOTSTRAP TOPIC PARTITIONS RECORDS VALUE_BYTES RANDOM_PERCENT KEYS key=value...
//
// Values are VALUE_BYTES long; the first RANDOM_PERCENT of each is random, the rest repeats a sentence. Records go
// to the partitions in turn. KEYS is `none`, or `repeated`: then each record has a key, and those of the last tenth
// are keys of earlier records, evenly spread. Prints the number of records acknowledged.

import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Load {
    static final byte[] TEXT = "The quick brown fox jumps over the lazy dog. ".getBytes();

    public static void main(String[] args) {
        String topic = args[1];
        int partitions = Integer.parseInt(args[2]);
        long records = Long.parseLong(args[3]);
        int size = Integer.parseInt(args[4]);
        int random = size * Integer.parseInt(args[5]) / 100;
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("buffer.memory", 256 << 20);
        settings.put("max.request.size", 4 << 20);
        boolean keys = args[6].equals("repeated");
        for (int i = 7; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }

        AtomicLong acknowledged = new AtomicLong();
        AtomicReference<Exception> failure = new AtomicReference<>();
        Random dice = new Random(42);
        // Random bytes are cut from one block: making fresh ones would cost more than sending them.
        byte[] block = new byte[8 << 20];
        dice.nextBytes(block);
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (long i = 0; i < records && failure.get() == null; i++) {
                byte[] value = new byte[size];
                for (int at = random; at < size; at += TEXT.length) {
                    System.arraycopy(TEXT, 0, value, at, Math.min(TEXT.length, size - at));
                }
                System.arraycopy(block, dice.nextInt(block.length - random), value, 0, random);
                byte[] key = keys ? key(i, records, partitions) : null;
                producer.send(new ProducerRecord<>(topic, (int) (i % partitions), key, value), (metadata, error) -> {
                    if (error == null) {
                        acknowledged.incrementAndGet();
                    } else {
                        failure.compareAndSet(null, error);
                    }
                });
            }
        }
        if (failure.get() != null) {
            failure.get().printStackTrace();
            System.exit(1);
        }
        System.out.println(acknowledged.get());
    }

    /** The number of the record, or of the earlier record in its partition that it replaces. */
    static byte[] key(long i, long records, int partitions) {
        long unique = records - records / 10;
        long place = i - unique;
        long number = place < 0 ? i : place / partitions * 9 * partitions + i % partitions;
        return Long.toString(number).getBytes();
    }
}
