// Checklog verifies a Karvan evidence log from its files alone, with the note and tree code of
// golang.org/x/mod and nothing of ours.
//
// It opens the checkpoint with every key it was given, rebuilds the tree head from the tile files,
// hashes every entry of the bundles against the lowest tiles, and, when told to, checks an offline
// proof file and a consistency proof, and that each fails after one flipped bit.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

type keyFlags []string

func (k *keyFlags) String() string     { return strings.Join(*k, " ") }
func (k *keyFlags) Set(v string) error { *k = append(*k, v); return nil }

func main() {
	var logKeys, witnessKeys keyFlags
	folder := flag.String("log", "", "folder of the log: checkpoint and tile/")
	name := flag.String("checkpoint", "checkpoint", "name of the checkpoint file in the folder")
	flag.Var(&logKeys, "key", "vkey of the log, or @FILE holding it")
	flag.Var(&witnessKeys, "witness", "vkey of a witness that must have cosigned, or @FILE (may repeat)")
	proof := flag.String("proof", "", "tlog-proof file to check")
	entry := flag.String("entry", "", "file with the entry that the proof is about")
	old := flag.String("old", "", "older signed checkpoint")
	consistency := flag.String("consistency", "", "add-checkpoint request that leads from -old to a newer checkpoint")
	flag.Parse()
	if *folder == "" || len(logKeys) != 1 {
		flag.Usage()
		os.Exit(2)
	}
	verifiers := []note.Verifier{must(note.NewVerifier(keyText(logKeys[0])))}
	for _, key := range witnessKeys {
		verifiers = append(verifiers, must(newCosignatureVerifier(keyText(key))))
	}
	raw := must(os.ReadFile(filepath.Join(*folder, *name)))
	tree := must(openCheckpoint(raw, verifiers, len(verifiers)))
	expectFailure("checkpoint with a flipped bit", func() error {
		_, err := openCheckpoint(flip(raw, bytes.IndexByte(raw, '\n')+1), verifiers, len(verifiers))
		return err
	})
	fmt.Printf("checkpoint: %d entries, root %s, %d signatures verified\n", tree.N, tree.Hash, len(verifiers))
	reader := tlog.TileHashReader(tree, &files{folder: *folder})
	if head := must(tlog.TreeHash(tree.N, reader)); head != tree.Hash {
		fail("the tiles give root %s, the checkpoint says %s", head, tree.Hash)
	}
	fmt.Println("tiles: same root")
	check(checkEntries(*folder, tree, reader))
	fmt.Printf("entries: all %d hash to their leaves\n", tree.N)
	if *proof != "" {
		file := must(os.ReadFile(*proof))
		record := must(os.ReadFile(*entry))
		check(checkProofFile(file, record, verifiers))
		expectFailure("proof file with a flipped bit", func() error {
			return checkProofFile(flip(file, bytes.LastIndex(file, []byte("\n\n"+"\u2014"))-10), record, verifiers)
		})
		expectFailure("proof file for another entry", func() error {
			return checkProofFile(file, flip(record, 0), verifiers)
		})
		fmt.Println("proof file: verified, and refused when altered")
	}
	if *consistency != "" {
		older := must(openCheckpoint(must(os.ReadFile(*old)), verifiers[:1], 1))
		request := must(os.ReadFile(*consistency))
		check(checkConsistency(request, older, verifiers[:1]))
		expectFailure("consistency proof with a flipped bit", func() error {
			return checkConsistency(flip(request, bytes.IndexByte(request, '\n')+3), older, verifiers[:1])
		})
		fmt.Println("consistency proof: verified, and refused when altered")
	}
}

// openCheckpoint verifies a note, asks for a number of known signatures, and reads its tree head.
func openCheckpoint(raw []byte, verifiers []note.Verifier, want int) (tlog.Tree, error) {
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(opened.Sigs) != want {
		return tlog.Tree{}, fmt.Errorf("%d of %d signatures", len(opened.Sigs), want)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifiers[0].Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// files reads tiles in the C2SP layout, which differs from Go's only by leaving out the height.
type files struct{ folder string }

func (f *files) Height() int                     { return tileHeight }
func (f *files) SaveTiles([]tlog.Tile, [][]byte) {}
func (f *files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		data, _, err := readPartial(f.folder, path)
		if err != nil {
			return nil, err
		}
		if cut := tile.W * tlog.HashSize; len(data) > cut {
			data = data[:cut]
		}
		all = append(all, data)
	}
	return all, nil
}

// readPartial reads a file, or the full one in its place, which may be all that is left of it.
func readPartial(folder, path string) (data []byte, exact bool, err error) {
	data, err = os.ReadFile(filepath.Join(folder, path))
	if full, _, partial := strings.Cut(path, ".p/"); partial && errors.Is(err, os.ErrNotExist) {
		data, err = os.ReadFile(filepath.Join(folder, full))
		return data, false, err
	}
	return data, true, err
}

// checkEntries reads every bundle and compares each entry's hash with the tree.
func checkEntries(folder string, tree tlog.Tree, reader tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: tileHeight, L: 0, N: first / 256, W: int(width)}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight), "tile/entries/", 1)
		bundle, exact, err := readPartial(folder, path)
		if err != nil {
			return err
		}
		var places []int64
		for i := first; i < first+width; i++ {
			places = append(places, tlog.StoredHashIndex(0, i))
		}
		hashes, err := reader.ReadHashes(places)
		if err != nil {
			return err
		}
		for i, hash := range hashes {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("%s is cut short at entry %d", path, first+int64(i))
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:end]) != hash {
				return fmt.Errorf("%s: entry %d does not hash to its leaf", path, first+int64(i))
			}
			bundle = bundle[end:]
		}
		if exact && len(bundle) != 0 {
			return fmt.Errorf("%s has surplus bytes", path)
		}
	}
	return nil
}

// checkProofFile checks a c2sp.org/tlog-proof@v1 file.
func checkProofFile(file, record []byte, verifiers []note.Verifier) error {
	head, signed, ok := strings.Cut(string(file), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof file")
	}
	if strings.HasPrefix(lines[1], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		path = append(path, hash)
	}
	tree, err := openCheckpoint([]byte(signed), verifiers, len(verifiers))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(record))
}

// checkConsistency checks the body of an add-checkpoint request against an older tree head.
func checkConsistency(request []byte, old tlog.Tree, verifiers []note.Verifier) error {
	head, signed, ok := strings.Cut(string(request), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != fmt.Sprintf("old %d", old.N) {
		return errors.New("not a request that starts at the older checkpoint")
	}
	var path tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		path = append(path, hash)
	}
	tree, err := openCheckpoint([]byte(signed), verifiers, 1)
	if err != nil {
		return err
	}
	return tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash)
}

// cosignatureVerifier checks cosignature/v1, which x/mod does not know.
type cosignatureVerifier struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func newCosignatureVerifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed witness key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return nil, errors.New("a witness key must be of type 4")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	id := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", id) != parts[1] {
		return nil, errors.New("witness key id does not fit")
	}
	return &cosignatureVerifier{parts[0], id, key[1:]}, nil
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.id }
func (v *cosignatureVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig[:8]))
	return ed25519.Verify(v.key, append([]byte(head), msg...), sig[8:])
}

func keyText(value string) string {
	if path, ok := strings.CutPrefix(value, "@"); ok {
		value = string(must(os.ReadFile(path)))
	}
	return strings.TrimSpace(value)
}

func flip(data []byte, at int) []byte {
	changed := append([]byte(nil), data...)
	changed[at] ^= 1
	return changed
}

func expectFailure(what string, f func() error) {
	if f() == nil {
		fail("accepted a %s", what)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "FAILED: "+format+"\n", args...)
	os.Exit(1)
}
