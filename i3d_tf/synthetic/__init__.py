"""The embedded dataset's puppeteer: scripted stick people to frames."""
