// Asks golang.org/x/oauth2/google for a token, once for each line of standard input.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/oauth2/google"
)

func main() {
	var credentials *google.Credentials
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var err error
		if credentials == nil {
			credentials, err = google.FindDefaultCredentials(context.Background(), os.Args[1:]...)
		}
		answer(credentials, err)
	}
}

func answer(credentials *google.Credentials, err error) {
	if err == nil {
		token, failure := credentials.TokenSource.Token()
		if failure == nil {
			fmt.Println("token", token.AccessToken)
			return
		}
		err = failure
	}
	fmt.Println("error", strings.Join(strings.Fields(err.Error()), " "))
}
