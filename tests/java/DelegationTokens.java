// Delegation tokens (KIP-48) by Kafka's own client.
//
//   DelegationTokens USER PASSWORD BOOTSTRAP...     makes one of USER, who logs in by PLAIN, at each cluster, and prints
//                                                   its id and its HMAC

import java.util.Map;
import org.apache.kafka.clients.admin.Admin;

public class DelegationTokens {
    public static void main(String[] args) throws Exception {
        String jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"" + args[0]
            + "\" password=\"" + args[1] + "\";";
        for (int i = 2; i < args.length; i++) {
            Map<String, Object> settings = Map.of("bootstrap.servers", args[i], "security.protocol", "SASL_PLAINTEXT",
                "sasl.mechanism", "PLAIN", "sasl.jaas.config", jaas);
            try (Admin admin = Admin.create(settings)) {
                var token = admin.createDelegationToken().delegationToken().get();
                // It is given out before every broker takes it.
                while (admin.describeDelegationToken().delegationTokens().get().isEmpty()) {
                    Thread.sleep(50);
                }
                System.out.println(token.tokenInfo().tokenId() + " " + token.hmacAsBase64String());
            }
        }
    }
}
