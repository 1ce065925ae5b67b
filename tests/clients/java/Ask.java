import com.google.auth.oauth2.GoogleCredentials;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.Arrays;

/** Asks google-auth-library-java for a token, once for each line of standard input. */
public final class Ask {
    public static void main(String[] scopes) throws IOException {
        GoogleCredentials credentials = null;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            try {
                if (credentials == null) {
                    credentials = GoogleCredentials.getApplicationDefault().createScoped(Arrays.asList(scopes));
                }
                System.out.println("token " + token(credentials));
            } catch (IOException error) {
                System.out.println("error " + error.getMessage().replaceAll("\\s+", " "));
            }
        }
    }

    private static String token(GoogleCredentials credentials) throws IOException {
        String header = credentials.getRequestMetadata(URI.create("https://api.example")).get("Authorization").get(0);
        return header.substring("Bearer ".length());
    }
}
