// Package bus carries hints between the parts of a process and between replicas.
//
// A hint says "something about this topic changed, look again". It carries no
// data and may be lost: the database is the truth, and whoever waits for hints
// polls now and then as well. Hints that arrive while a subscriber is busy become one.
package bus

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bus publishes and subscribes hints. Both implementations are safe for
// concurrent use.
type Bus interface {
	// Publish wakes every subscriber of topic, here and in other replicas. It
	// never fails and never blocks on a subscriber.
	Publish(topic string)
	// Subscribe returns a channel that receives after each hint for topic, at
	// most one pending at a time, and a function that ends the subscription.
	Subscribe(topic string) (wake <-chan struct{}, stop func())
}

// Memory is a bus inside one process.
type Memory struct {
	mu   sync.RWMutex
	subs map[string]map[chan struct{}]struct{}
}

// NewMemory returns a bus without subscribers.
func NewMemory() *Memory {
	return &Memory{subs: map[string]map[chan struct{}]struct{}{}}
}

// Publish wakes the subscribers of topic.
func (b *Memory) Publish(topic string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for wake := range b.subs[topic] {
		poke(wake)
	}
}

// publishAll wakes everyone: hints may have been lost.
func (b *Memory) publishAll() {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, subs := range b.subs {
		for wake := range subs {
			poke(wake)
		}
	}
}

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Subscribe registers for topic.
func (b *Memory) Subscribe(topic string) (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs[topic] == nil {
		b.subs[topic] = map[chan struct{}]struct{}{}
	}
	b.subs[topic][wake] = struct{}{}
	return wake, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs[topic], wake)
		if len(b.subs[topic]) == 0 {
			delete(b.subs, topic)
		}
	}
}

// Channel is what the replicated bus needs of a database: PostgreSQL's
// LISTEN and NOTIFY.
type Channel interface {
	Notify(ctx context.Context, payload string) error
	Listen(ctx context.Context, ready func(), each func(payload string)) error
}

// Replicated is a bus between replicas: hints wake this process at once and
// travel to the others through the database.
type Replicated struct {
	*Memory
	channel Channel
	log     *slog.Logger
	out     chan string
}

// NewReplicated returns a bus that carries nothing until Run is called.
func NewReplicated(channel Channel, log *slog.Logger) *Replicated {
	return &Replicated{Memory: NewMemory(), channel: channel, log: log, out: make(chan string, 1024)}
}

// Publish wakes local subscribers at once and queues the hint for the other
// replicas; when the queue is full the hint is lost, as hints may be.
func (b *Replicated) Publish(topic string) {
	b.Memory.Publish(topic)
	select {
	case b.out <- topic:
	default:
	}
}

// Run sends and receives until ctx ends. After a broken connection everyone is
// woken, since hints may have been lost meanwhile.
func (b *Replicated) Run(ctx context.Context) {
	go b.send(ctx)
	for wait := time.Second; ctx.Err() == nil; {
		err := b.channel.Listen(ctx, func() { wait = time.Second; b.publishAll() }, b.Memory.Publish)
		if ctx.Err() != nil {
			return
		}
		b.log.Warn("hints from other replicas are interrupted", "error", err, "retry_in", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, 30*time.Second)
	}
}

// send drains the queue, each topic once per round.
func (b *Replicated) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case topic := <-b.out:
			for topic := range b.drain(topic) {
				if err := b.channel.Notify(ctx, topic); err != nil && ctx.Err() == nil {
					b.log.Warn("a hint to other replicas is lost", "topic", topic, "error", err)
				}
			}
		}
	}
}

func (b *Replicated) drain(first string) map[string]struct{} {
	topics := map[string]struct{}{first: {}}
	for {
		select {
		case topic := <-b.out:
			topics[topic] = struct{}{}
		default:
			return topics
		}
	}
}
