package agenttest

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// machine is the pretended computer under an agent: everything in it follows
// from the seed, so the same seed is the same computer in every run.
type machine struct {
	seed     int64
	platform Platform

	hostname, uuid, serial   string
	vendor, model, cpu, arch string
	cores                    int64
	memory                   int64 // bytes
	ip, ip6, gateway, mac    string
	instance                 string // of a fresh database
	system                   release
	people                   []string // human accounts
	bootedBefore             time.Duration
	diskSize                 int64
}

// release is an operating system release.
type release struct {
	name, version, build, platform, like, codename string
	major, minor, patch                            int64
	kernel                                         string
}

var firstNames = []string{"ada", "alan", "barbara", "claude", "dennis", "edsger", "frances", "grace", "hedy",
	"ivan", "joan", "karen", "leslie", "margaret", "niklaus", "ole", "peter", "radia", "sophie", "tony"}

// newMachine makes the computer of seed. hardware is the seed that its uuid and
// serial number come from: that of another machine makes a clone.
func newMachine(platform Platform, seed, hardware int64) *machine {
	m := &machine{seed: seed, platform: platform}
	r := m.random("identity")
	h := seeded(hardware, "hardware")
	m.uuid, m.serial = randomUUID(h, platform != Linux), randomText(h, 10)
	m.instance = randomUUID(r, false)
	m.people = pickNames(r)
	m.ip = fmt.Sprintf("10.%d.%d.%d", 20+r.IntN(40), r.IntN(250), 2+r.IntN(250))
	m.gateway = m.ip[:strings.LastIndexByte(m.ip, '.')] + ".1"
	m.mac = fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
	m.ip6 = fmt.Sprintf("fe80::%x:%x:%x", 0x5054+r.IntN(99), 0x100+r.IntN(0xeff), 0x100+r.IntN(0xeff))
	m.cores = []int64{2, 4, 8, 8, 16}[r.IntN(5)]
	m.memory = m.cores * 2 << 30
	m.diskSize = []int64{128, 256, 512, 1024}[r.IntN(4)] << 30
	m.bootedBefore = time.Duration(1+r.IntN(60*24)) * time.Hour
	switch platform {
	case Darwin:
		m.beMac(r)
	case Windows:
		m.beWindows(r)
	default:
		m.beLinux(r)
	}
	return m
}

func (m *machine) beLinux(r *rand.Rand) {
	m.system = linuxReleases[r.IntN(len(linuxReleases))]
	m.arch, m.cpu = "x86_64", "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz"
	m.vendor, m.model = "QEMU", "Standard PC (Q35 + ICH9, 2009)"
	role := []string{"web", "db", "cache", "build", "mail"}[r.IntN(5)]
	m.hostname = fmt.Sprintf("%s-%05x", role, m.tag())
}

func (m *machine) beMac(r *rand.Rand) {
	m.system = macReleases[r.IntN(len(macReleases))]
	m.arch, m.cpu = "arm64e", "Apple M2 Pro"
	m.vendor, m.model = "Apple Inc.", "Mac14,9"
	m.hostname = fmt.Sprintf("%ss-mbp-%05x.local", m.people[0], m.tag())
}

func (m *machine) beWindows(r *rand.Rand) {
	m.system = windowsReleases[r.IntN(len(windowsReleases))]
	m.arch, m.cpu = "x86_64", "12th Gen Intel(R) Core(TM) i7-1265U"
	m.vendor, m.model = "Dell Inc.", "Latitude 7430"
	m.hostname = fmt.Sprintf("DESKTOP-%05X", m.tag())
}

// tag keeps the names of neighbouring seeds apart.
func (m *machine) tag() uint64 { return uint64(m.seed) & 0xfffff }

// shard is the host's number for the shard rule of packs and queries.
func (m *machine) shard() int {
	sum := sha1.Sum([]byte(m.hostname))
	return int(sum[0]) * 100 / 255
}

// random is a source for one purpose: the same in every run.
func (m *machine) random(purpose string) *rand.Rand { return seeded(m.seed, purpose) }

func seeded(seed int64, purpose string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(purpose))
	return rand.New(rand.NewPCG(uint64(seed), hash.Sum64()))
}

func pickNames(r *rand.Rand) []string {
	var names []string
	for _, i := range r.Perm(len(firstNames))[:1+r.IntN(4)] {
		names = append(names, firstNames[i])
	}
	return names
}

func randomUUID(r *rand.Rand, upper bool) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], r.Uint64())
	binary.LittleEndian.PutUint64(b[8:], r.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
	if upper {
		return strings.ToUpper(text)
	}
	return text
}

func randomText(r *rand.Rand, n int) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func randomHex(r *rand.Rand, bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return hex.EncodeToString(b)
}

var linuxReleases = []release{
	{"Ubuntu", "24.04.2 LTS (Noble Numbat)", "", "ubuntu", "debian", "noble", 24, 4, 0, "6.8.0-60-generic"},
	{"Ubuntu", "22.04.5 LTS (Jammy Jellyfish)", "", "ubuntu", "debian", "jammy", 22, 4, 0, "5.15.0-140-generic"},
	{"Debian GNU/Linux", "12 (bookworm)", "", "debian", "", "bookworm", 12, 0, 0, "6.1.0-35-amd64"},
	{"Rocky Linux", "9.5 (Blue Onyx)", "", "rocky", "rhel centos fedora", "", 9, 5, 0, "5.14.0-503.el9.x86_64"},
}

var macReleases = []release{
	{"macOS", "15.5", "24F74", "darwin", "darwin", "", 15, 5, 0, "24.5.0"},
	{"macOS", "14.7.6", "23H626", "darwin", "darwin", "", 14, 7, 6, "23.6.0"},
}

var windowsReleases = []release{
	{"Microsoft Windows 11 Pro", "10.0.26100", "26100", "windows", "windows", "24H2", 10, 0, 0, "10.0.26100.4061"},
	{"Microsoft Windows 10 Enterprise", "10.0.19045", "19045", "windows", "windows", "22H2", 10, 0, 0, "10.0.19045.5854"},
	{"Microsoft Windows Server 2022 Standard", "10.0.20348", "20348", "windows", "windows", "21H2", 10, 0, 0, "10.0.20348.3692"},
}
