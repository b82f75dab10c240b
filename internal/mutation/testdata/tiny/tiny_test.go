package tiny

import (
	"os"
	"os/exec"
	"testing"
)

func TestAdd(t *testing.T) {
	var c Count
	if sum, err := c.Add("x", 1, 2); sum != 3 || err != nil {
		t.Error(sum, err)
	}
}

func TestWord(t *testing.T) {
	if Count(0).Word("", 0) != "xxx" {
		t.Fail()
	}
}

func TestMark(t *testing.T) {
	var marks []string
	Mark(&marks)
	if len(marks) != 1 {
		t.Error(marks)
	}
}

func TestTwice(t *testing.T) {
	if len(Twice("a", 1)) != 2 {
		t.Fail()
	}
}

func TestRescued(t *testing.T) {
	if !Rescued(func() { panic("x") }) {
		t.Fail()
	}
}

// The program is started once more, without any environment.
func TestAgain(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.run=^TestMark$")
	c.Env = []string{"HOME=/"}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
