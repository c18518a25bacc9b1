// franz-go's producer at its fastest legal settings. The contract of the command line is in ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const modulePath = "github.com/twmb/franz-go"

type run struct {
	mode  string
	named map[string]string
}

func (r run) text(name string) string {
	value, ok := r.named[name]
	if !ok {
		fail(fmt.Errorf("there is no argument %s", name))
	}
	return value
}

func (r run) number(name string) int {
	value, err := strconv.Atoi(r.text(name))
	fail(err)
	return value
}

func main() {
	r := run{mode: os.Args[1], named: map[string]string{}}
	for _, word := range os.Args[2:] {
		name, value, _ := strings.Cut(word, "=")
		r.named[name] = value
	}
	bytes, err := os.ReadFile(r.text("values"))
	fail(err)
	size := r.number("size")
	var values [][]byte
	for at := 0; at < len(bytes); at += size {
		values = append(values, bytes[at:at+size])
	}
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[r.text("compression")]
	client, err := kgo.NewClient(
		kgo.SeedBrokers(r.text("bootstrap")),
		kgo.DefaultProduceTopic(r.text("topic")),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Idempotent is the default, and with it at most five requests in flight.
		kgo.ProducerLinger(time.Duration(r.number("linger_ms"))*time.Millisecond),
		kgo.ProducerBatchMaxBytes(int32(r.number("batch"))),
		kgo.ProducerBatchCompression(codec),
		// The default of 10,000 records starves small ones; this is 32 MiB of 100 bytes, as the others have.
		kgo.MaxBufferedRecords(32*1024*1024/size),
		kgo.MaxBufferedBytes(32*1024*1024),
		// Long enough runs on one partition that batches fill, as the sticky partitioners of the others.
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(r.number("batch"), false, true, nil)),
	)
	fail(err)
	var line map[string]any
	switch r.mode {
	case "produce":
		line = produce(client, r, values)
	case "latency":
		line = latency(client, r, values)
	case "idle":
		line = idle(client, r, values)
	default:
		fail(fmt.Errorf("the first argument is produce, latency or idle, not %s", r.mode))
	}
	client.Close()
	text, err := json.Marshal(line)
	fail(err)
	fmt.Println(string(text))
}

func produce(client *kgo.Client, r run, values [][]byte) map[string]any {
	send(client, values, r.number("warm"))
	meter := startMeter()
	send(client, values, r.number("records"))
	return meter.stop(r.number("warm"), r.number("records"))
}

func send(client *kgo.Client, values [][]byte, count int) {
	var acknowledged atomic.Int64
	// The pool takes records back after their promise: without it each is a garbage of its own.
	pool := sync.Pool{New: func() any { return new(kgo.Record) }}
	promise := func(record *kgo.Record, err error) {
		fail(err)
		acknowledged.Add(1)
		*record = kgo.Record{}
		pool.Put(record)
	}
	background := context.Background()
	next := 0
	for i := 0; i < count; i++ {
		record := pool.Get().(*kgo.Record)
		record.Value = values[next]
		if next++; next == len(values) {
			next = 0
		}
		client.Produce(background, record, promise)
	}
	fail(client.Flush(background))
	if acknowledged.Load() != int64(count) {
		fail(fmt.Errorf("%d of %d acknowledged", acknowledged.Load(), count))
	}
}

func latency(client *kgo.Client, r run, values [][]byte) map[string]any {
	warm, records := r.number("warm"), r.number("records")
	interval := time.Second / time.Duration(r.number("rate"))
	latencies := make([]int64, 0, records)
	background := context.Background()
	start := time.Now()
	meter := startMeter()
	for i := 0; i < warm+records; i++ {
		if i == warm {
			meter = startMeter()
		}
		due := start.Add(time.Duration(i) * interval)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		counted := i >= warm
		at := i
		if counted {
			at -= warm
		}
		record := &kgo.Record{Value: values[at%len(values)]}
		client.Produce(background, record, func(_ *kgo.Record, err error) {
			fail(err)
			// Promises of one client are called one after the other.
			if counted {
				latencies = append(latencies, int64(time.Since(due)))
			}
		})
	}
	fail(client.Flush(background))
	line := meter.stop(warm, records)
	if len(latencies) != records {
		fail(fmt.Errorf("%d of %d acknowledged", len(latencies), records))
	}
	sort.Slice(latencies, func(a, b int) bool { return latencies[a] < latencies[b] })
	last := float64(len(latencies) - 1)
	for name, quantile := range map[string]float64{"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999, "max_ns": 1} {
		line[name] = latencies[int(last*quantile+0.5)]
	}
	return line
}

func idle(client *kgo.Client, r run, values [][]byte) map[string]any {
	send(client, values, r.number("warm"))
	before := switches()
	meter := startMeter()
	time.Sleep(time.Duration(r.number("idle_ms")) * time.Millisecond)
	line := meter.stop(r.number("warm"), 0)
	line["switches"] = switches() - before
	return line
}

type meter struct {
	wall time.Time
	cpu  int64
}

func startMeter() meter { return meter{cpu: cpu(), wall: time.Now()} }

func (m meter) stop(warm, records int) map[string]any {
	wall := time.Since(m.wall)
	return map[string]any{
		"peer": "franz-go", "version": version(), "warm": warm, "records": records,
		"wall_ns": wall.Nanoseconds(), "cpu_ns": cpu() - m.cpu,
		"rss_bytes": status("VmHWM:") * 1024, "allocations": nil,
	}
}

func cpu() int64 {
	var usage syscall.Rusage
	fail(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func switches() int64 {
	tasks, err := os.ReadDir("/proc/self/task")
	fail(err)
	var sum int64
	for _, task := range tasks {
		path := "/proc/self/task/" + task.Name() + "/status"
		sum += find(path, "voluntary_ctxt_switches:") + find(path, "nonvoluntary_ctxt_switches:")
	}
	return sum
}

func status(name string) int64 { return find("/proc/self/status", name) }

func find(path, name string) int64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), name); found {
			value, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			fail(err)
			return value
		}
	}
	return 0
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == modulePath {
				return strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "unknown"
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
