package main

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

// logger writes to stderr. On a terminal it leaves out the levels below WARN, because the
// report there has the same content, unless LOG_LEVEL is set.
func (p *program) logger(c *config.Config) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(p.err)
	text := c.LogFormat == "text" || c.LogFormat == "auto" && p.terminalErr
	if text {
		log.SetFormatter(&logrus.TextFormatter{
			FullTimestamp:   true,
			TimestampFormat: time.TimeOnly,
			DisableColors:   !p.terminalErr || !p.colours(),
		})
	} else {
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	}
	level, err := logrus.ParseLevel(string(c.LogLevel))
	if err != nil { // LogLevel holds only words that logrus knows
		level = logrus.InfoLevel
	}
	if p.terminalErr && text && !c.LogLevelSet {
		level = logrus.WarnLevel
	}
	log.SetLevel(level)
	return log
}
