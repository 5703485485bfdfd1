// A relay built on franz-go: the Go peer of benches/compare.
//
//	relay SOURCE TARGET SOURCE-TOPIC TARGET-TOPIC CODEC RECORDS
//
// Copies records as they are, partition to partition, and ends when RECORDS were acknowledged (0: never). Tuned as
// the other peers: 4 MB partition fetches, batches of up to 512 KB, 20 ms of linger, acks from all replicas.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if len(os.Args) != 7 {
		log.Fatal("relay SOURCE TARGET SOURCE-TOPIC TARGET-TOPIC CODEC RECORDS")
	}
	source, target, from, to := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	records, err := strconv.ParseInt(os.Args[6], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	consumer := client(
		kgo.SeedBrokers(strings.Split(source, ",")...),
		kgo.ConsumeTopics(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(4<<20),
	)
	producer := client(
		kgo.SeedBrokers(strings.Split(target, ",")...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(512<<10),
		kgo.ProducerLinger(20*time.Millisecond),
		kgo.ProducerBatchCompression(codec(os.Args[5])),
		kgo.MaxBufferedRecords(200_000),
	)
	relay(consumer, producer, to, records)
	producer.Close()
	consumer.Close()
}

func relay(consumer, producer *kgo.Client, topic string, records int64) {
	ctx := context.Background()
	var acknowledged atomic.Int64
	done := make(chan struct{})
	onDelivery := func(_ *kgo.Record, err error) {
		if err != nil {
			log.Fatal(err)
		}
		if acknowledged.Add(1) == records {
			close(done)
		}
	}
	for sent := int64(0); records == 0 || sent < records; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			log.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			producer.Produce(ctx, &kgo.Record{
				Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value,
				Headers: r.Headers, Timestamp: r.Timestamp,
			}, onDelivery)
			sent++
		})
	}
	<-done
	fmt.Println(acknowledged.Load())
}

func client(options ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(options...)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func codec(name string) kgo.CompressionCodec {
	switch name {
	case "none":
		return kgo.NoCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	log.Fatalf("no codec %q", name)
	panic("unreachable")
}
